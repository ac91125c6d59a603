"""What an answer is worth, by the verdict of em_strict on it.

| the answer | reward |
|---|---|
| names exactly the true concept at the asked level, or a true one below it (`right`) | 1 |
| names the true coarse concept alone where the fine one was asked for (`too_general`) | `partial` |
| the same, where the question itself told the coarse concept | 0 |
| names a sibling or any other concept (`wrong_…`), though its coarse concept may be the true one | 0 |
| names several, negates, hedges, compares, abstains, is empty, or names nothing known | 0 |

From that, a reply longer than `max_characters` loses `overlong` times its excess over `max_characters`, at most `overlong`: a
right answer stays better than a wrong one of the same length, and nothing is below -`overlong`. Characters are counted and not
words or tokens, so that no way of writing hides length.
"""

from __future__ import annotations

from finer_tasks.scoring.strict import StrictScore
from finer_tasks.training.grpo.recipe import Reward

RIGHT = 1.0
NOTHING = 0.0
_COARSE = 2  # depth of a verdict that named the coarse concept


def reward_of(verdict: StrictScore, level: str, told: bool, characters: int, worth: Reward) -> float:
    """The reward of an answer to a question of `level`; `told` says that the question named the true label one level up."""
    return _named(verdict, level, told, worth) - _overlong(characters, worth)


def _named(verdict: StrictScore, level: str, told: bool, worth: Reward) -> float:
    if verdict.right:
        return RIGHT
    earned = verdict.reason == "too_general" and verdict.depth == _COARSE and level == "fine" and not told
    return worth.partial if earned else NOTHING


def _overlong(characters: int, worth: Reward) -> float:
    excess = (characters - worth.max_characters) / worth.max_characters
    return worth.overlong * min(1.0, max(0.0, excess))
