"""Bodies of other APIs, and bodies with mistakes, as Responses params."""
