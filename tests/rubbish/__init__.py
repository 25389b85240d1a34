"""What a broker must survive: bombs, lies and loose ends, each against a reader and against the real daemon."""
