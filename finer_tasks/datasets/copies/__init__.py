"""Datasets as others keep them: on the Hub, as tables, or as class folders; names and splits are matched, never assumed."""
