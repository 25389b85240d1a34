"""Fuzzing of the readers of hostile bytes: MIME, envelope, CMS, AppRec, MsgHead."""
