"""Reads REDCap project XML (CDISC ODM with REDCap's extension) into a design and rows of data."""
