"""Analyses over finished runs: the modality gap."""
