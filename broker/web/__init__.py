"""HTTP: the partner's ebMS endpoint and the API for EPJ systems."""
