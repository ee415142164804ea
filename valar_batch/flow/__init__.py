"""The path of a run: prepare, submit, collect, join."""
