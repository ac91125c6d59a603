"""Readers of the datasets as their authors publish them, and the prepared form that tasks load."""
