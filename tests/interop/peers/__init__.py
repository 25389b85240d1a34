"""Scripted peers: ebMS engines that others wrote, as they were measured or are documented, one process each.

What a peer signs, verifies, opens and reads goes through libxmlsec1, OpenSSL and this package alone: never through the
broker's own code for it.
"""
