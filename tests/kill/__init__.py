"""Kills the real daemons under load, again and again, and holds the EPJs' own ledgers against each other."""
