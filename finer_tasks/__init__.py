"""FINER: fine-grained image recognition tasks, scorers and tools for lmms-eval."""

__version__ = "0.3.0"
