"""Harnesses that plant words in messages and look for them where they must never come out."""
