"""A broker for Norwegian health dialogue: it takes a message, and keeps at it until its application receipt is home."""

__version__ = "0.1.0"
