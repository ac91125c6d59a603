"""Names as a trie of tokens, cut into pieces that a model takes in one pass each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finer_tasks.statistics.clusters import Floats, Integers


@dataclass(frozen=True)
class Piece:
    """Tokens of a trie that go through a model together; each attends to itself and those before it on its way.

    Attributes:
        tokens: shape (n,). depths: tokens before each, counted from the root, shape (n,).
        sees: which token attends to which, shape (n, n).
        rows: for each edge, the token that it leaves. children: the node that it leads to.
    """

    tokens: Integers
    depths: Integers
    sees: npt.NDArray[np.bool_]
    rows: Integers
    children: Integers


class NameTrie:
    """Every beginning of a name once. Node 0 is the root, which stands for the prompt; each node comes after its parent.

    The nodes stand in preorder, so that those of a stretch have all their ancestors in it, or on the way to its first.
    """

    def __init__(self, names: Sequence[Sequence[int]]) -> None:
        tokens, parents, depths = [-1], [-1], [0]
        self.ends = np.zeros(len(names), dtype=np.int64)
        way: list[int] = [0]
        for place in sorted(range(len(names)), key=lambda place: list(names[place])):
            ids = names[place]
            shared = next(
                (n for n, (node, token) in enumerate(zip(way[1:], ids, strict=False)) if tokens[node] != token),
                min(len(way) - 1, len(ids)),
            )
            del way[shared + 1 :]
            for token in ids[shared:]:
                tokens.append(token)
                parents.append(way[-1])
                depths.append(len(way))
                way.append(len(tokens) - 1)
            self.ends[place] = way[-1]
        self.tokens, self.parents, self.depths = np.array(tokens), np.array(parents), np.array(depths)
        self.lengths = np.array([len(ids) for ids in names])
        self.first = np.flatnonzero(self.parents == 0)
        self._pieces: dict[int, list[Piece]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def pieces(self, most: int) -> list[Piece]:
        """All edges but those of the root, in pieces of about `most` tokens; kept for the next time.

        Tokens that end names are not in them, for nothing follows from those. The way to a piece's first token is computed
        once more; it is shorter than a name.
        """
        if most not in self._pieces:
            self._pieces[most] = list(self._cut(most))
        return self._pieces[most]

    def _cut(self, most: int) -> Iterator[Piece]:
        inner = np.flatnonzero(np.bincount(self.parents[1:], minlength=len(self)) > 0)[1:]
        for start in range(0, len(inner), most):
            nodes = inner[start : start + most]
            nodes = np.concatenate([self._above(int(nodes[0])), nodes])
            yield self._piece(nodes, len(nodes) - min(most, len(inner) - start))

    def sums(self, edges: Floats) -> Floats:
        """The sum along the way to each name's end of the numbers at its nodes, shape (rows, nodes) to (rows, names)."""
        total = edges.copy()
        total[:, 0] = 0.0
        for depth in range(1, int(self.depths.max()) + 1):
            nodes = np.flatnonzero(self.depths == depth)
            total[:, nodes] += total[:, self.parents[nodes]]
        found: Floats = total[:, self.ends]
        return found

    def _above(self, node: int) -> Integers:
        """The ancestors of a node below the root, the highest first."""
        way: list[int] = []
        while (node := int(self.parents[node])) > 0:
            way.append(node)
        return np.array(way[::-1], dtype=np.int64)

    def _piece(self, nodes: Integers, repeated: int) -> Piece:
        place = {int(node): row for row, node in enumerate(nodes)}
        sees = np.eye(len(nodes), dtype=bool)
        for row, node in enumerate(nodes):
            if (parent := int(self.parents[node])) > 0:
                sees[row] |= sees[place[parent]]
        owned = nodes[repeated:]
        children = np.flatnonzero(np.isin(self.parents, owned))
        rows = np.array([place[int(self.parents[child])] for child in children])
        return Piece(self.tokens[nodes], self.depths[nodes] - 1, sees, rows, children)
