"""The synthetic study: its design, the people made up for it, and the file REDCap would export."""
