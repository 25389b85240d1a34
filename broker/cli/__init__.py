"""The command line: what a person asks of a broker, and how the answer is shown."""
