"""`--model finer_hf`: any transformers image-text-to-text model, batched.

Images are decoded and preprocessed in background threads while the model runs; requests are
ordered by length; a batch that does not fit in memory halves the batch size; several processes
(accelerate launch) share the documents. Greedy answers equal those at batch size 1.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from loguru import logger
from tqdm import tqdm

from finer_tasks.errors import ModelError, user_errors
from finer_tasks.models.batching import BatchRunner, by_length
from finer_tasks.models.conversation import ChatEncoder, Conversation, append_turn
from finer_tasks.models.loading import LoadOptions, choose_device, load_model, load_processor
from finer_tasks.replies import is_tag, opened_thought

DEFAULT_MAX_NEW_TOKENS = 64
AUTO_BATCH_SIZE = {"cuda": 64, "cpu": 16}
# Models whose token positions are a plain count, so that a first turn's cache can be continued.
CACHE_CONTINUES = {"llava"}
_SAMPLING = ("top_p", "top_k", "num_beams", "repetition_penalty")


@dataclass
class Job:
    """One request on its way: where it came from, its conversation so far, and its replies."""

    index: int
    doc: Any
    context: str
    messages: Callable[..., Any]
    arguments: Mapping[str, Any]
    replies: list[str] = field(default_factory=list)
    info: Any = None


@dataclass
class Turn:
    """What a generated turn leaves for the next one: the conversation, ids, mask and cache."""

    conversations: list[Conversation]
    ids: torch.Tensor
    mask: torch.Tensor
    ended: list[bool]
    texts: list[str]
    counts: list[TokenCounts]
    cache: Any = None


class FinerHF(lmms):
    """lmms-eval model over AutoModelForImageTextToText, for chat-style tasks.

    Args (as `--model_args key=value,...`):
        pretrained: folder, hub name, or finer-mini (built in); the folder of an adapter stands for its base and itself.
        peft: folder or hub name of a LoRA adapter.
        dtype: auto (the checkpoint's; float32 on a CPU), checkpoint (also on a CPU), bfloat16, float16 or float32.
        device, device_map, attn_implementation, load_in_4bit, load_in_8bit, revision,
        trust_remote_code: as in transformers.
        batch_size: a number, or auto (starts high, halves when memory runs out).
        workers: background threads that prepare batches.
    """

    is_simple = False

    def __init__(self, pretrained: str = "", batch_size: int | str = 1, workers: int | str = 2, **options: Any) -> None:
        super().__init__()
        with user_errors():
            self._load(pretrained, batch_size, workers, options)

    def _load(self, pretrained: str, batch_size: int | str, workers: int | str, options: dict[str, Any]) -> None:
        options.pop("max_batch_size", None)
        if not pretrained:
            raise ModelError("finer_hf needs --model_args pretrained=<folder, hub name or finer-mini>")
        unknown = set(options) - set(LoadOptions.__dataclass_fields__)
        if unknown:
            known = ", ".join(("batch_size", "workers", *LoadOptions.__dataclass_fields__))
            raise ModelError(f"unknown model argument {sorted(unknown)[0]!r}; known are {known}")
        self.options = LoadOptions(pretrained, **options)
        self.accelerator = Accelerator()
        parallel = self.accelerator.num_processes > 1
        self._device = self.accelerator.device if parallel else choose_device(self.options.device)
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        size, threads = _batch_size(batch_size, self._device), _workers(workers)
        processor = load_processor(self.options)
        self._use(load_model(self.options, self._device), processor, size, threads)

    @classmethod
    def of(cls, model: Any, processor: Any, batch_size: int, name: str) -> FinerHF:
        """A loaded model, such as one in training, as an lmms-eval model; `name` is what it is called in messages."""
        self = cls.__new__(cls)
        lmms.__init__(self)
        self.options = LoadOptions(name)
        self.accelerator = Accelerator()
        self._device = next(model.parameters()).device
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self._use(model, processor, batch_size, workers=2)
        return self

    def _use(self, model: Any, processor: Any, batch_size: int, workers: int) -> None:
        self._model = model
        self.encoder = ChatEncoder(processor)
        self.encoder.check(model.config)
        tokens, known = len(processor.tokenizer), model.get_input_embeddings().num_embeddings
        if self.options.peft and tokens > known:
            raise ModelError(f"peft={self.options.peft}: its tokenizer has {tokens} tokens, the model embeddings for {known}")
        # Special tokens, and whether they tell thought from answer.
        added = processor.tokenizer.added_tokens_decoder
        self._special = {number: is_tag(token.content) for number, token in added.items() if token.special}
        self.batch_size = batch_size
        self.runner = BatchRunner(batch_size, workers)
        self.continues_cache = getattr(model.config, "model_type", "") in CACHE_CONTINUES

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def model(self) -> Any:
        return self._model

    @property
    def tokenizer(self) -> Any:
        return self.encoder.tokenizer

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One reply a request, in the order of the requests, with token counts."""
        with user_errors():
            results: list[GenerationResult | None] = [None] * len(requests)
            for jobs, turn in self._run([self._job(i, request) for i, request in enumerate(requests)], self._first_turn):
                for row, job in enumerate(jobs):
                    results[job.index] = GenerationResult(turn[row][0], turn[row][1])
                    self.cache_hook.add_partial("generate_until", (job.context, job.arguments), turn[row][0])
            return results  # type: ignore[return-value]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """All replies of each request's rounds. All documents of a batch take a round together.

        Where a round continues the conversation (the task returns the earlier turns, the reply and
        a new question without image), the cache of the earlier turns is reused: no image is
        encoded twice. A round that starts afresh is encoded afresh.
        """
        with user_errors():
            results: list[list[str]] = [[] for _ in requests]
            for jobs, _ in self._run([self._job(i, request) for i, request in enumerate(requests)], self._all_rounds):
                for job in jobs:
                    results[job.index] = job.replies
            return results

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """(mean negative log-likelihood of the continuation's tokens, whether greedy decoding gives it).

        lmms-eval takes the least loss as the model's choice, so the loss is returned as its own
        wrappers do. Reached with `--force_simple`, for lmms-eval's chat tasks only generate.
        """
        with user_errors():
            results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
            jobs = [self._continuation_job(i, request) for i, request in enumerate(requests)]
            for done, scored in self._run(jobs, self._score_continuations, self._prepare_continuations):
                for job, value in zip(done, scored, strict=True):
                    results[job.index] = value
            return results

    def _run(self, jobs: list[Job], run: Callable[..., Any], prepare: Callable[..., Any] | None = None) -> Any:
        groups = by_length(
            jobs, lambda job: len(job.context), lambda job: json.dumps(job.arguments, sort_keys=True, default=str)
        )
        bar = tqdm(total=len(jobs), desc="finer_hf", disable=self._rank != 0, mininterval=1)
        for group in groups:
            for done, results in self.runner.map(group, prepare or self._prepare, run):
                bar.update(len(done))
                yield done, results
        bar.close()

    def _job(self, index: int, request: Instance) -> Job:
        context, messages, arguments, doc_id, task, split = request.args
        return Job(index, self.task_dict[task][split][doc_id], context, messages, copy.deepcopy(arguments or {}))

    def _prepare(self, jobs: list[Job]) -> tuple[list[Conversation], Any]:
        """Background part of a batch: decode the images, render and encode the prompts."""
        conversations = [job.messages(job.doc) for job in jobs]
        return conversations, self.encoder.encode(conversations)

    def _first_turn(self, jobs: list[Job], prepared: tuple[list[Conversation], Any]) -> list[tuple[str, TokenCounts]]:
        conversations, inputs = prepared
        turn = self._generate(conversations, inputs, jobs[0].arguments, keep_cache=False)
        return list(zip(turn.texts, turn.counts, strict=True))

    def _all_rounds(self, jobs: list[Job], prepared: tuple[list[Conversation], Any]) -> list[None]:
        conversations, inputs = prepared
        for job in jobs:
            job.replies, job.info = [], None
        active = list(jobs)
        turn = self._generate(conversations, inputs, jobs[0].arguments, keep_cache=self.continues_cache)
        while active:
            for job, text in zip(active, turn.texts, strict=True):
                job.replies.append(text)
            following = [_next_messages(job) for job in active]
            kept = [row for row, messages in enumerate(following) if messages is not None]
            whole = len(kept) == len(active)
            active, conversations = [active[row] for row in kept], [m for m in following if m is not None]
            if active:
                turn = self._next(turn if whole else None, conversations, active[0].arguments)
        return [None] * len(jobs)

    def _next(self, before: Turn | None, conversations: list[Conversation], arguments: Mapping[str, Any]) -> Turn:
        """The next round: on top of the earlier turn's cache where every conversation continues it."""
        if before is not None and before.cache is not None:
            turns = [
                self.encoder.next_turn(old, text, new, ended)
                for old, text, new, ended in zip(before.conversations, before.texts, conversations, before.ended, strict=True)
            ]
            if all(turn is not None for turn in turns):
                pad = self.tokenizer.pad_token_id
                ids, mask = append_turn(before.ids, before.mask, turns, pad)  # type: ignore[arg-type]
                inputs = {"input_ids": ids, "attention_mask": mask, "cache": before.cache}
                return self._generate(conversations, inputs, arguments, keep_cache=True)
        return self._generate(conversations, self.encoder.encode(conversations), arguments, keep_cache=self.continues_cache)

    @torch.inference_mode()
    def _generate(self, conversations: list[Conversation], inputs: Any, arguments: Mapping[str, Any], keep_cache: bool) -> Turn:
        inputs = self._to_device(inputs)
        output = self._model.generate(**inputs, **self._generation_arguments(arguments), return_dict_in_generate=True)
        # Models that take embeddings return the new tokens alone, others the prompt as well.
        ids, prompt = output.sequences, inputs["input_ids"]
        start = prompt.shape[1] if torch.equal(ids[:, : prompt.shape[1]], prompt) else 0
        generated = ids[:, start:]
        lengths, ended = self._reply_lengths(generated)
        rows = [row[:length] for row, length in zip(generated, lengths, strict=True)]
        opened = [opened_thought(self.encoder.render(conversation)) for conversation in conversations]
        texts = [_cut(self._decode(row), arguments.get("until")) for row in rows]
        texts = [before + text for before, text in zip(opened, texts, strict=True)]
        counts = [
            TokenCounts(input_tokens=int(mask.sum()), output_tokens=length)
            for mask, length in zip(inputs["attention_mask"], lengths, strict=True)
        ]
        steps = torch.arange(generated.shape[1], device=ids.device)
        reply_mask = (steps < torch.tensor(lengths, device=ids.device)[:, None]).to(inputs["attention_mask"].dtype)
        mask = torch.cat([inputs["attention_mask"], reply_mask], dim=1)
        keep_cache &= start > 0 and all(map(self._is_told_in_full, rows, ended, texts))
        return Turn(conversations, ids, mask, ended, texts, counts, output.cache if keep_cache else None)

    def _decode(self, row: torch.Tensor) -> str:
        """The text of a reply without special tokens, but with those that tell thought from answer."""
        if not any(self._special.values()):
            return str(self.tokenizer.decode(row, skip_special_tokens=True))
        kept = [number for number in row.tolist() if self._special.get(number, True)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False))

    def _is_told_in_full(self, row: torch.Tensor, ended: bool, text: str) -> bool:
        """Whether the reply is all that its tokens say: a later turn must not see what a stop string cut off."""
        return bool(self.tokenizer.decode(row[: len(row) - ended], skip_special_tokens=False) == text)

    def _reply_lengths(self, generated: torch.Tensor) -> tuple[list[int], list[bool]]:
        """Tokens of each reply up to and including its end token, and whether it has one."""
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends]) | {self.tokenizer.eos_token_id}
        lengths, ended = [], []
        for row in generated.tolist():
            position = next((i for i, token in enumerate(row) if token in ends), None)
            lengths.append(len(row) if position is None else position + 1)
            ended.append(position is not None)
        return lengths, ended

    def _generation_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        temperature = float(arguments.get("temperature") or 0)
        sample = bool(arguments.get("do_sample")) and temperature > 0
        chosen = {key: arguments[key] for key in _SAMPLING if arguments.get(key) is not None}
        if not sample:
            chosen.pop("top_p", None)
            chosen.pop("top_k", None)
        return {
            "max_new_tokens": int(arguments.get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS),
            "do_sample": sample,
            **({"temperature": temperature} if sample else {}),
            "pad_token_id": self.tokenizer.pad_token_id,
            **chosen,
        }

    def _to_device(self, inputs: Any) -> dict[str, Any]:
        moved = {}
        for key, value in dict(inputs).items():
            if isinstance(value, torch.Tensor):
                value = value.to(self._device)
                if value.is_floating_point():
                    value = value.to(self._model.dtype)
            moved[key] = value
        return moved

    def _continuation_job(self, index: int, request: Instance) -> Job:
        context, target, visuals, doc_id, task, split = request.args
        doc = self.task_dict[task][split][doc_id]
        text = target if isinstance(target, str) else target(doc)
        return Job(index, doc, context, lambda d: _user_turn(visuals(d), context), {}, replies=[text])

    def _prepare_continuations(self, jobs: list[Job]) -> tuple[Any, list[list[int]]]:
        conversations = [job.messages(job.doc) for job in jobs]
        ids = [self.tokenizer(job.replies[0], add_special_tokens=False)["input_ids"] for job in jobs]
        return self.encoder.encode(conversations), ids

    @torch.inference_mode()
    def _score_continuations(self, jobs: list[Job], prepared: tuple[Any, list[list[int]]]) -> list[tuple[float, bool]]:
        inputs, continuations = self._to_device(prepared[0]), prepared[1]
        width = max(len(ids) for ids in continuations)
        rows = len(jobs)
        added = torch.full((rows, width), self.tokenizer.pad_token_id, device=self._device)
        present = torch.zeros((rows, width), dtype=inputs["attention_mask"].dtype, device=self._device)
        for row, ids in enumerate(continuations):
            added[row, : len(ids)] = torch.tensor(ids, device=self._device)
            present[row, : len(ids)] = 1
        start = inputs["input_ids"].shape[1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], added], dim=1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], present], dim=1)
        for key in ("token_type_ids", "mm_token_type_ids"):
            inputs.pop(key, None)
        logits = self._model(**inputs).logits[:, start - 1 : -1].float()
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), added, reduction="none") * present
        greedy = ((logits.argmax(-1) == added) | (present == 0)).all(1)
        return [(float(loss.sum() / keep.sum()), bool(same)) for loss, keep, same in zip(losses, present, greedy, strict=True)]


class FinerHFSimple(FinerHF):
    """finer_hf for tasks that hand over text and images apart (`--force_simple`, and loglikelihood)."""

    is_simple = True

    def _job(self, index: int, request: Instance) -> Job:
        context, arguments, visuals, doc_id, task, split = request.args
        doc = self.task_dict[task][split][doc_id]
        return Job(index, doc, context, lambda d: _user_turn(visuals(d), context), copy.deepcopy(arguments or {}))

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """Not offered here: the rounds of chat tasks need the conversation."""
        with user_errors():
            raise ModelError("finer_hf runs multi-round tasks as a chat model; leave out --force_simple")


def _batch_size(wanted: int | str, device: torch.device) -> int:
    if str(wanted).startswith("auto"):
        size = AUTO_BATCH_SIZE.get(device.type, 16)
        logger.info(f"Automatic batch size: starting with {size}")
        return size
    size = _number(wanted)
    if size < 1:
        raise ModelError(f"batch_size={wanted}: give a positive number or auto")
    return size


def _workers(wanted: Any) -> int:
    count = _number(wanted)
    if count < 1:
        raise ModelError(f"workers={wanted}: give a number of threads, at least 1")
    return count


def _number(value: Any) -> int:
    """The whole number that a model argument states, 0 if it states none."""
    try:
        return 0 if isinstance(value, bool) else int(value)
    except (ValueError, TypeError):
        return 0


def _next_messages(job: Job) -> Conversation | None:
    """The conversation of a job's next round, None when its rounds are over."""
    payload = job.messages(job.doc, round_idx=len(job.replies), previous_output=list(job.replies), previous_round_info=job.info)
    if not (isinstance(payload, tuple) and len(payload) == 4):
        return None
    messages, is_last, _, job.info = payload
    return None if is_last else messages


def _user_turn(visuals: Sequence[Any] | None, text: str) -> list[dict[str, Any]]:
    images = [{"type": "image", "url": visual} for visual in visuals or ()]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def _cut(text: str, until: str | Sequence[str] | None) -> str:
    """The text before the first stop string."""
    stops = [until] if isinstance(until, str) else list(until or ())
    for stop in stops:
        if stop:
            text = text.split(stop, 1)[0]
    return text
