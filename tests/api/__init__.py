"""The description of the API against the server itself."""
