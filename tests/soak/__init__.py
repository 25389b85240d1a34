"""Half an hour with a fault every half minute, and nothing grows: `python -m tests.soak`."""
