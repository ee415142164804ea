"""The wire contract, held against the validation and against the running server."""
