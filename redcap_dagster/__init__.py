"""REDCap studies as Dagster assets."""
