"""Web pages at `/`: a person sees the projects and changes records by hand."""
