"""Seconds of finer_hf with what the questions about an image share computed once, against each question by itself.

    python benchmarks/shared_prefix.py [--architecture small|llava-1.5-7b] [--documents 16] [--batch_size 9] [--new_tokens 12]

A LLaVA with 576 image tokens and random weights: `small` (115 M) for a CPU, `llava-1.5-7b` for a GPU. Whole evaluations
through lmms-eval: the three levels of a dataset, and the five arms of `finer gap`. Random weights never end a reply, so
that replies are cut after `--new_tokens`. Prompts are as long as with a tokenizer of natural language.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lmms_eval.evaluator import simple_evaluate
from record import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.runs.evaluate import ARM_SUFFIXES
from finer_tasks.tasks.prompts import active_prompt_set

RUNS = {
    "three levels": ("finer_mini_superordinate", "finer_mini_coarse", "finer_mini_fine"),
    "gap, five arms": tuple(f"finer_mini_fine{suffix}" for suffix in ARM_SUFFIXES),
}
_TEMPLATE = (
    "{% for m in messages %}{{ 'USER: ' if m.role == 'user' else 'ASSISTANT: ' }}{% for p in m.content %}"
    "{{ '<image>\n' if p.type == 'image' else p.text }}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=["small", "llava-1.5-7b"], default="small")
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=9)
    parser.add_argument("--new_tokens", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    ensure_prepared("mini")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        build(arguments.architecture, Path(folder))
        model = FinerHF(pretrained=folder, device=device, batch_size=arguments.batch_size)
        found = {name: compare(model, tasks, arguments) for name, tasks in RUNS.items()}
    settings = {key: vars(arguments)[key] for key in ("documents", "batch_size", "new_tokens")}
    save(f"shared_prefix-{arguments.architecture}", {**settings, "device": device, "image_tokens": 576, "runs": found})


def compare(model: FinerHF, tasks: tuple[str, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both ways, in turn so that a drifting machine hits both, and how many replies are equal."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    replies: dict[bool, list[Any]] = {}
    for _ in range(arguments.repeats):
        for shares in (False, True):
            model.generator.branches = shares
            replies[shares], elapsed = evaluate(model, tasks, arguments)
            seconds[shares].append(elapsed)
    ratios = sorted(apart / shared for apart, shared in zip(seconds[False], seconds[True], strict=True))
    same = sum(one == other for one, other in zip(replies[False], replies[True], strict=True))
    return {
        "seconds_apart": round(min(seconds[False]), 1),
        "seconds_shared": round(min(seconds[True]), 1),
        "ratio_median": round(ratios[len(ratios) // 2], 2),
        "ratio_min_max": [round(ratios[0], 2), round(ratios[-1], 2)],
        "equal_replies": f"{same} of {len(replies[True])}",
    }


def evaluate(model: FinerHF, tasks: tuple[str, ...], arguments: argparse.Namespace) -> tuple[list[Any], float]:
    """All replies of a run, and the seconds that the model took."""
    spent = 0.0
    own = model.generate_until

    def timed(requests: list[Any]) -> Any:
        nonlocal spent
        started = time.perf_counter()
        results = own(requests)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent += time.perf_counter() - started
        return results

    model.generate_until = timed  # type: ignore[method-assign]
    try:
        found = simple_evaluate(
            model=model, tasks=list(tasks), limit=arguments.documents, gen_kwargs=f"max_new_tokens={arguments.new_tokens}",
            log_samples=True,
        )  # fmt: skip
    finally:
        del model.generate_until
    return [sample["resps"] for name in tasks for sample in found["samples"][name]], spent


def build(architecture: str, folder: Path) -> None:
    """The model with its processor, in a folder."""
    tokenizer = natural_tokenizer()
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision, text = (256, 6, 4), (768, 12, 12, 2048)
    if architecture != "small":
        vision, text = (1024, 24, 16), (4096, 32, 32, 11008)
    width, layers, heads = vision
    eyes = CLIPVisionConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads, image_size=336,
        patch_size=14,
    )  # fmt: skip
    width, layers, heads, inner = text
    language = LlamaConfig(
        vocab_size=32064, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner, **ids
    )
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=eyes, text_config=language, image_seq_length=576, image_token_id=image, **ids)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    size = {"height": 336, "width": 336}
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=size), tokenizer=tokenizer, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=_TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip


def natural_tokenizer() -> Any:
    """A byte-level BPE trained on the prompts, so that a question has about as many tokens as with a language's own."""
    own = Tokenizer(models.BPE())
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    prompts = Path(active_prompt_set.__code__.co_filename).with_name("finer-1.yaml").read_text(encoding="utf-8")
    own.train_from_iterator([prompts], trainers.BpeTrainer(vocab_size=2000, special_tokens=special, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(
        tokenizer_object=own,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )


if __name__ == "__main__":
    main()
