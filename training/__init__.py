"""Training scripts: they import finer_tasks, never the reverse."""
