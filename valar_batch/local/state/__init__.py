"""The local Valar's memory, in SQLite."""
