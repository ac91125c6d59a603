"""The strict scorer: which known concepts does an answer name, and is exactly the right one named?

An answer is read in the modules of this package: `words` cuts it into words, `finding` finds names of
the dataset's concepts among them (`lexicon`; `designations` for what follows a name), `status` decides
by the cues of cues.yaml how each name is used (asserted, negated, compared, …), `revision` what the
answer as a whole makes of that, and `verdict` judges what is asserted. Deterministic, no model; the
reason is kept for every answer. See docs/em_strict.md.
"""

from finer_tasks.scoring.strict.lexicon import Lexicon
from finer_tasks.scoring.strict.status import abstains
from finer_tasks.scoring.strict.verdict import REASONS, StrictScore, score_strict
from finer_tasks.scoring.strict.words import words_of

__all__ = ["REASONS", "Lexicon", "StrictScore", "abstains", "score_strict", "words_of"]
