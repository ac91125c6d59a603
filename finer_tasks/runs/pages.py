"""What all pages share: text of others is escaped, and shown without characters that reorder or hide what stands around it."""

from __future__ import annotations

import jinja2

from finer_tasks.text import harmless


def page_environment(loader: jinja2.BaseLoader | None = None) -> jinja2.Environment:
    """Templates whose values are escaped for HTML and harmless, and must all be there."""
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    return harmless(value, keep="\n") if type(value) is str else value
