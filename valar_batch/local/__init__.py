"""The local Valar: an embedded server that speaks the same API by the same rules."""
