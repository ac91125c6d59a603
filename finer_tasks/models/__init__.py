"""lmms-eval model classes of this package, and the built-in tiny model finer-mini."""

from pathlib import Path

BUILT_IN = {"finer-mini": Path(__file__).with_name("finer_mini")}
