"""Acknowledgment, MessageError and AppRec: building, reading, and matching them to what they answer."""
