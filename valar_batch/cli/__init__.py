"""The commands: parse, one call into flow, render."""
