"""Record export: what is asked, which columns and rows that gives, and what stands in the cells."""
