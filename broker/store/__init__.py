"""The one door to what is kept: five writes, named reads."""
