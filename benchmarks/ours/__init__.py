"""This project's way of each work, one script each, run in a process of its own."""
