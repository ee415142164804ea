"""Scripted faults of the local Valar: what a plan says, which calls it hits, and what they meet."""
