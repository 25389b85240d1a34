"""Alerts over a real store and to real servers of the test's own."""
