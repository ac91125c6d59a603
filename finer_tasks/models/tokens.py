"""The tokens that an adapter added to its base model's vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loguru import logger

from finer_tasks.errors import ModelError, typed

_FILES = ("tokenizer.json", "tokenizer_config.json")


def add_tokens_of(adapter: str, tokenizer: Any) -> None:
    """Add to `tokenizer` what the tokenizer in an adapter's folder has beyond it, under the same ids.

    Raises ModelError where the two number a token differently: the adapter was trained on other ids.
    The chat template stays the base model's, for that of a trainer of text would leave out the image.
    """
    if not any((Path(adapter) / name).is_file() for name in _FILES):
        return
    from transformers import AutoTokenizer

    try:
        brought = AutoTokenizer.from_pretrained(adapter)
    except Exception as error:  # whatever its files can be wrong in
        raise ModelError(f"peft={adapter}: its tokenizer cannot be read ({typed(error)})") from error
    known = tokenizer.get_vocab()
    new = {token: number for token, number in brought.get_vocab().items() if known.get(token) != number}
    if not new:
        return
    added = sorted(number for number, token in brought.added_tokens_decoder.items() if str(token) in new)
    tokenizer.add_tokens([brought.added_tokens_decoder[number] for number in added])
    different = sorted(token for token, number in new.items() if tokenizer.convert_tokens_to_ids(token) != number)
    if different:
        raise ModelError(
            f"peft={adapter}: its tokenizer numbers {len(different)} tokens otherwise than the base model's, for example "
            f"{different[0]!r} as {new[different[0]]}. Give the base model, or the merged one, that the adapter was trained on"
        )
    if brought.eos_token in new:
        tokenizer.eos_token = brought.eos_token
    logger.info(f"{adapter} brings {len(new)} tokens, for example {min(new, key=new.__getitem__)!r}")
