"""Bytes to values and back: XML, MsgHead, ebMS 2.0, MIME and XML signatures. Knows no carrier."""
