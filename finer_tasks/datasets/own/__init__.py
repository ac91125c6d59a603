"""Datasets of a user's own: read without any Python of theirs, and made from a folder of images or a list."""
