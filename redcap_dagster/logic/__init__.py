"""REDCap logic: parse, check against the study, evaluate on a row or over a table."""
