"""Scoring: pure functions of text and labels, loaded without torch or lmms-eval."""
