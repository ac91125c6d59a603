"""The console of the finer command."""

from __future__ import annotations

import sys

from finer_tasks.console import PlainConsole

# Wide enough for the tables where there is no terminal to ask.
out = PlainConsole(width=None if sys.stdout.isatty() else 130)
say = out.say
