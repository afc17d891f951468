"""A made-up study, and a server that only slices its prepared bytes."""
