"""Sends stored bytes and returns what came back. Judges nothing."""
