"""Text that somebody else wrote: made safe to show in a terminal, on a page or in a file, and normalised to be compared."""

from __future__ import annotations

import re
import string
import unicodedata

# What moves a terminal's cursor, breaks a line, reorders or hides the text around it, or is no UTF-8:
# control characters, bidirectional marks, invisible characters and tags, lone surrogates, noncharacters.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# What ids of names in Latin script are made of.
_PLAIN = frozenset(string.ascii_lowercase + string.digits)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def harmless(text: str, keep: str = "") -> str:
    r"""The text with such characters as escapes (`\x1b`, `\n`, `\u202e`), but for those in `keep`; one line without it."""
    return _HARMFUL.sub(lambda match: match[0] if match[0] in keep else match[0].encode("unicode_escape").decode(), text)


def shortened(value: object, most: int = 100) -> str:
    """The value as Python writes it, cut where that is long."""
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"


def well_formed(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, as replacement characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def normalize(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles as words, single spaces, in this order: the benchmark's own rule."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def slug(name: str) -> str:
    """A stable identifier made of a name: lower case, words joined by underscores; ASCII alone unless its script is another."""
    words = re.sub(r"[’'`]", "", name.lower())
    return "_".join("".join(letter if letter in _PLAIN or _of_another_script(letter) else " " for letter in words).split())


def _of_another_script(letter: str) -> bool:
    return (
        not letter.isascii()
        and unicodedata.category(letter) in ("Ll", "Lo")
        and not unicodedata.name(letter, "LATIN").startswith("LATIN")
    )
