"""Our schemas held against the published ones."""
