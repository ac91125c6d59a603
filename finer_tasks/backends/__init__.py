"""Comparing backends: the same questions to the same model, run in two ways."""
