"""The decisions, as pure functions over values: no files, sockets, clock or environment."""
