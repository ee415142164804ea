"""The alternatives, one script each, as each one's own documentation recommends to do the work."""
