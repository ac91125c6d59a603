"""Training the built-in tiny LLaVA, finer-mini, from scratch; `python -m finer_tasks.training.tiny_llava` is the command."""
