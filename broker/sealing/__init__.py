"""CMS seal and open, and the trust rules for certificates: crypto decisions over given evidence, no I/O."""
