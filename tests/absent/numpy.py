"""numpy is not a dependency of the command, and pyarrow loads it where it is."""

raise ImportError(__doc__)
