"""How fast: whole exchanges between two brokers over real HTTP, against a straight line of the same work.

python -m tests.bench            the whole of it (about three minutes)
python -m tests.bench --short    the form of the test suite (about twenty seconds), with half the floors
"""
