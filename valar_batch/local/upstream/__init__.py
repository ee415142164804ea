"""Real answers: requests forwarded to an OpenAI-compatible server, and what comes back."""
