"""lmms-eval model classes of this package, and the built-in tiny model finer-mini."""
