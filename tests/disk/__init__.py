"""What the broker makes of a disk that fails, is full, or forgets: `python -m tests.disk`."""
