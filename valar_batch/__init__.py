"""Send bulk prompts through Valar's Batch API and bring every answer home."""

__version__ = "0.1.0"
