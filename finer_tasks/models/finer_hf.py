"""`--model finer_hf`: any transformers image-text-to-text model, batched.

Images are decoded and preprocessed in background threads while the model runs; requests are
ordered by length; a batch that does not fit in memory halves the batch size; several processes
(accelerate launch) share the documents. Greedy answers equal those at batch size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.instance import TokenCounts as TheirCounts
from lmms_eval.api.model import lmms
from tqdm import tqdm

from finer_tasks.errors import ModelError, user_errors
from finer_tasks.models.answering import Answering
from finer_tasks.models.batching import BatchRunner, batch_size_of, workers_of
from finer_tasks.models.continuations import Continuations
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.models.generation import Generator, TokenCounts
from finer_tasks.models.jobs import Job, chat_job, continuation_job, grouped, simple_job
from finer_tasks.models.journal import Journal
from finer_tasks.models.loading import LoadOptions, choose_device, load_model, load_processor
from finer_tasks.models.resuming import open_journal
from finer_tasks.replies import pack_rounds

_DIGITS = 6


@dataclass
class Told(TheirCounts):
    """What lmms-eval logs of a reply beside its text."""

    least_margin: float | None = None

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = super().to_dict()
        return told if self.least_margin is None else told | {"least_margin": round(self.least_margin, _DIGITS)}


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
        resume: folder that keeps every reply, so that the same command goes on where a killed run stopped.
    """

    is_simple = False
    # Tasks of several rounds may hand over all documents at once.
    takes_rounds_together = True
    # Requests of several rounds may come with those of one, so that they share what stands up to the end of the image.
    takes_rounds_with_turns = True
    # The names of a closed set may come in one request, told by the argument `candidates`.
    scores_names_together = True
    # The arguments that name the weights; None where they came into being in this process.
    loaded_from: Mapping[str, Any] | None = None
    # Replies of earlier runs, and what this one leaves for later ones.
    journal: Journal | None = None
    _job: Callable[..., Job] = staticmethod(chat_job)

    def __init__(
        self, pretrained: str = "", batch_size: int | str = 1, workers: int | str = 2, resume: str | None = None, **options: Any
    ) -> None:
        super().__init__()
        with user_errors():
            self._load(pretrained, batch_size, workers, resume, options)

    def _load(
        self, pretrained: str, batch_size: int | str, workers: int | str, resume: str | None, options: dict[str, Any]
    ) -> None:
        self.loaded_from = {"pretrained": pretrained} | options
        self.options = LoadOptions.of(self.loaded_from)
        self.accelerator = Accelerator()
        parallel = self.accelerator.num_processes > 1
        device = self.accelerator.device if parallel else choose_device(self.options.device)
        size, threads = batch_size_of(batch_size, device), workers_of(workers)
        processor = load_processor(self.options)
        model = load_model(self.options, device)
        self.journal = None if resume is None else open_journal(resume, self.options, model)
        self._use(model, processor, device, size, threads)

    @classmethod
    def of(cls, model: Any, processor: Any, batch_size: int, name: str) -> FinerHF:
        """A loaded model, such as one in training, as an lmms-eval model; `name` is what it is called in messages."""
        self = cls.__new__(cls)
        lmms.__init__(self)
        self.options = LoadOptions(name)
        self.accelerator = Accelerator()
        self._use(model, processor, next(model.parameters()).device, batch_size, workers=2)
        return self

    def _use(self, model: Any, processor: Any, device: torch.device, batch_size: int, workers: int) -> None:
        self._device = device
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self.encoder = ChatEncoder(processor)
        self.encoder.check(model.config)
        tokens, known = len(processor.tokenizer), model.get_input_embeddings().num_embeddings
        if self.options.peft and tokens > known:
            raise ModelError(f"peft={self.options.peft}: its tokenizer has {tokens} tokens, the model embeddings for {known}")
        self.generator = Generator(model, self.encoder, device)
        self.answering = Answering(self.generator, self.journal)
        self.continuations = Continuations(self.generator, self.journal)
        self.batch_size = batch_size
        self.runner = BatchRunner(batch_size, workers)

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def model(self) -> Any:
        return self.generator.model

    @property
    def tokenizer(self) -> Any:
        return self.encoder.tokenizer

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One reply a request, in the order of the requests, with token counts.

        Requests about one image share its encoding and the cache of all that stands up to its end, whatever tasks they
        come from. Those whose arguments say so take several rounds; all their replies come packed in one text.
        """
        with user_errors():
            results: dict[int, GenerationResult] = {}
            for jobs, counts in self._answered(requests):
                for job, count in zip(jobs, counts, strict=True):
                    text = pack_rounds(job.replies) if job.rounds else job.replies[0]
                    told = Told(count.input_tokens, count.output_tokens, least_margin=count.least_margin)
                    results[job.index] = GenerationResult(text, told)
                    self.cache_hook.add_partial("generate_until", (job.context, job.arguments), text)
            return [results[index] for index in range(len(requests))]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """All replies of each request's rounds. All documents of a batch take a round together.

        Where a round continues the conversation (the task returns the earlier turns, the reply and
        a new question without image), the cache of the earlier turns is reused: no image is
        encoded twice. A round that starts afresh goes on from the image where several requests share it.
        """
        with user_errors():
            results: list[list[str]] = [[] for _ in requests]
            for jobs, _ in self._answered(requests):
                for job in jobs:
                    results[job.index] = job.replies
            return results

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """(mean negative log-likelihood of the continuation as a whole reply, whether greedy decoding gives it).

        The reply stands as the chat template writes it, and has its end. lmms-eval takes the least loss as the model's
        choice, so the loss is returned as its own wrappers do. Reached with `--force_simple`, for lmms-eval's chat tasks
        only generate.
        """
        with user_errors():
            results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
            jobs = [continuation_job(index, request, self.task_dict) for index, request in enumerate(requests)]
            for done, scored in self._run(grouped(jobs, shares=False), self.continuations.prepare, self.continuations.score):
                for job, value in zip(done, scored, strict=True):
                    results[job.index] = value
            return results

    def _answered(self, requests: list[Instance]) -> Iterator[tuple[list[Job], list[TokenCounts]]]:
        """Batches of jobs with their replies, and the token counts of the last one of each."""
        jobs = [self._job(index, request, self.task_dict) for index, request in enumerate(requests)]
        groups = grouped(jobs, self.generator.branches)
        return self._run(groups, self.answering.prepare, self.answering.answer, lambda job: job.document)

    def _run(
        self,
        groups: list[list[Job]],
        prepare: Callable[..., Any],
        run: Callable[..., Any],
        together: Callable[[Job], Hashable] = id,
    ) -> Iterator[tuple[list[Job], Any]]:
        bar = tqdm(total=sum(map(len, groups)), desc="finer_hf", disable=self._rank != 0, mininterval=1)
        for group in groups:
            for done, results in self.runner.map(group, prepare, run, together):
                bar.update(len(done))
                yield done, results
        bar.close()

    def clean(self) -> None:
        """As lmms-eval asks when all requests are answered."""
        super().clean()
        if self.journal is not None:
            with user_errors():
                self.journal.sync()


class FinerHFSimple(FinerHF):
    """finer_hf for tasks that hand over text and images apart (`--force_simple`, and loglikelihood)."""

    is_simple = True
    _job = staticmethod(simple_job)

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """Not offered here: the rounds of chat tasks need the conversation."""
        with user_errors():
            raise ModelError("finer_hf runs multi-round tasks as a chat model; leave out --force_simple")
