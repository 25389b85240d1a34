"""What Java writes and we refuse on purpose: each with what the Java library makes of it, our sentence, and why."""

REFUSALS: list = []
