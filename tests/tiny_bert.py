"""A random BERT of one layer in the real format, for the scorers that take a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast


def tiny_bert(folder: Path, **labels: Any) -> BertConfig:
    """Save a tokenizer of whole words to `folder`; returns the configuration that goes with it."""
    words = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "red", "body", "no", "crest", "blue"]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]", sep_token="[SEP]", cls_token="[CLS]", model_max_length=64
    ).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertConfig(vocab_size=len(words), **sizes, **labels)
