"""One bad partner costs the others nothing: `python -m tests.partner`."""
