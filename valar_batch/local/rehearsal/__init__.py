"""Rehearsal answers: what is made up, and what becomes of a request."""
