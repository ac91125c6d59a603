"""Counting the steps of a regular expression: a backtracking matcher over the parse tree that `re` itself compiles."""

from __future__ import annotations

import re._constants as op  # type: ignore[import-untyped]
import re._parser as parser  # type: ignore[import-untyped]
import sys
from collections.abc import Callable, Iterator
from typing import Any

ALPHABET = "ax1 _-=*(<>/[:,.\n\"'\té|#"
UNBOUNDED = 16
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    op.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
Rest = Callable[[int], bool]


class Matcher:
    """A pattern with a counter of steps."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.tree = parser.parse(pattern, flags)
        self.flags = self.tree.state.flags
        self.steps = 0

    def count(self, text: str, anchored: bool) -> int:
        """Steps for a match at the start, or for all matches of a search."""
        self.steps, self.text, self.groups, position = 0, text, {}, 0
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(100_000)
        try:
            while position <= len(text):
                end = self._end(position)
                if anchored:
                    break
                position = end if end is not None and end > position else position + 1
        finally:
            sys.setrecursionlimit(limit)
        return self.steps

    def _end(self, start: int) -> int | None:
        ends: list[int] = []
        self._run(self.tree.data, 0, start, lambda position: ends.append(position) or True)
        return ends[-1] if ends else None

    def _run(self, nodes: Any, index: int, at: int, rest: Rest) -> bool:
        self.steps += 1
        if index == len(nodes):
            return rest(at)
        kind, value = nodes[index]

        def after(position: int) -> bool:
            return self._run(nodes, index + 1, position, rest)

        if is_single(kind):
            return at < len(self.text) and accepts(kind, value, self.text[at], self.flags) and after(at + 1)
        if kind in _REPEATS:
            return self._repeat(kind is op.MIN_REPEAT, *value, at, after)
        if kind is op.SUBPATTERN:
            return self._run(value[3].data, 0, at, lambda end: self._close(value[0], at, end) and after(end))
        if kind is op.BRANCH:
            return any(self._run(branch.data, 0, at, after) for branch in value[1])
        if kind is op.AT:
            return self._is_at(value, at) and after(at)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            start = at - value[1].getwidth()[0] if value[0] < 0 else at
            found = start >= 0 and self._run(value[1].data, 0, start, lambda end: value[0] > 0 or end == at)
            return found is (kind is op.ASSERT) and after(at)
        if kind is op.GROUPREF:
            known = self.groups.get(value, "")
            return self.text.startswith(known, at) and after(at + len(known))
        raise NotImplementedError(kind)

    def _close(self, group: int, start: int, end: int) -> bool:
        self.groups[group] = self.text[start:end]
        return True

    def _repeat(self, lazy: bool, least: int, most: int, body: Any, at: int, after: Rest) -> bool:
        def turn(count: int, position: int) -> bool:
            def more() -> bool:
                if count >= most:
                    return False
                return self._run(body.data, 0, position, lambda end: end > position and turn(count + 1, end))

            if count < least:
                return more()
            return (after(position) or more()) if lazy else (more() or after(position))

        return turn(0, at)

    def _is_at(self, where: Any, at: int) -> bool:
        if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            multiline = where is op.AT_BEGINNING and self.flags & op.SRE_FLAG_MULTILINE
            return at == 0 or bool(multiline and self.text[at - 1] == "\n")
        if where in (op.AT_END, op.AT_END_STRING):
            multiline = where is op.AT_END and self.flags & op.SRE_FLAG_MULTILINE
            return (
                at == len(self.text)
                or (where is op.AT_END and self.text[at:] == "\n")
                or bool(multiline and self.text[at] == "\n")
            )
        word = _CATEGORIES[op.CATEGORY_WORD]
        sides = [bool(side) and word(side) for side in (self.text[at - 1 : at] if at else "", self.text[at : at + 1])]
        return (sides[0] != sides[1]) is (where is op.AT_BOUNDARY)


def is_single(kind: Any) -> bool:
    """Whether a node takes exactly one character."""
    return kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)


def accepts(kind: Any, value: Any, character: str, flags: int) -> bool:
    """Whether a node of one character takes this one."""
    if kind is op.ANY:
        return character != "\n" or bool(flags & op.SRE_FLAG_DOTALL)
    forms = {character, character.lower(), character.upper()} if flags & op.SRE_FLAG_IGNORECASE else {character}
    if kind is op.IN:
        negated = value[0][0] is op.NEGATE
        return negated is not any(_has(item, form) for item in value for form in forms)
    return (chr(value) in forms) is (kind is op.LITERAL)


def _has(item: Any, character: str) -> bool:
    kind, value = item
    if kind is op.RANGE:
        return len(character) == 1 and value[0] <= ord(character) <= value[1]
    if kind is op.CATEGORY:
        return _CATEGORIES[value](character)
    return kind is op.LITERAL and chr(value) == character


def hostile(matcher: Matcher, length: int) -> Iterator[str]:
    """Texts that make a pattern try again and again: up to a loop, the loop many times, and then what ends no match."""
    for before, body in _loops(matcher, matcher.tree.data, ""):
        pumps = {_shortest(matcher, body)}
        if len(body) == 1 and is_single(body[0][0]):
            pumps |= {c for c in ALPHABET if accepts(*body[0], c, matcher.flags)}
        for pump in sorted(pumps - {""}):
            for repeated in {pump, before + pump, (before or pump) + pump}:
                for end in ("\0", "\n\0", ""):
                    yield before + (repeated * length)[:length] + end


def _loops(matcher: Matcher, nodes: Any, before: str) -> Iterator[tuple[str, Any]]:
    for index, (kind, value) in enumerate(nodes):
        here = before + _shortest(matcher, nodes[:index])
        if kind in _REPEATS:
            if value[1] > UNBOUNDED:
                yield here, value[2].data
            yield from _loops(matcher, value[2].data, here)
        elif kind is op.SUBPATTERN:
            yield from _loops(matcher, value[3].data, here)
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from _loops(matcher, branch.data, here)
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            yield from _loops(matcher, value[1].data, here)


def _shortest(matcher: Matcher, nodes: Any) -> str:
    """A short text that the nodes match, where assertions allow."""
    text = ""
    for kind, value in nodes:
        if is_single(kind):
            candidates = ALPHABET + (chr(value) if kind is op.LITERAL else "")
            candidates += (
                "".join(chr(v if k is op.LITERAL else v[0]) for k, v in value if k in (op.LITERAL, op.RANGE))
                if kind is op.IN
                else ""
            )
            text += next((c for c in candidates if accepts(kind, value, c, matcher.flags)), "")
        elif kind in _REPEATS:
            text += _shortest(matcher, value[2].data) * value[0]
        elif kind is op.SUBPATTERN:
            text += _shortest(matcher, value[3].data)
        elif kind is op.BRANCH:
            text += _shortest(matcher, value[1][0].data)
    return text
