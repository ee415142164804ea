"""What the client costs, beside what users would pick instead: `python -m benchmarks --help`."""
