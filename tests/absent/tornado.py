"""tornado is not a dependency of the command, and tenacity loads it where it is."""

raise ImportError(__doc__)
