"""Simulated EPJ systems and portals that know only the HTTP API, and the demonstration built from them."""
