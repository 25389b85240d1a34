"""Questions to the outside: address files, keys, clients, system clock, randomness, shipped files."""
