"""A training run from step to step: the budget, the checks, and going on where an earlier part stopped."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import torch

from afformer.datasets import Dataset
from afformer.errors import AfformerError
from afformer.model.checkpoint import save_checkpoint
from afformer.progress import Progress, no_progress
from afformer.train.curve import Check
from afformer.train.folders import Pair
from afformer.train.normalise import Normalise
from afformer.train.options import TrainOptions
from afformer.train.order import Order
from afformer.train.pictures import Pictures
from afformer.train.saved import RunFiles
from afformer.train.trainer import Trainer
from afformer.train.validation import validate

_WAIT_EVERY = 20
"""Steps between waits for the GPU, which is given work faster than it does it; the clock would run ahead."""


@dataclasses.dataclass(frozen=True)
class Watch:
    """Callbacks of a run.

    Attributes:
        progress: Told after every picture that is read, and after every step.
        checked: Told what every check found.
        warned: Told, in one sentence, what is probably not meant.
    """

    progress: Progress = no_progress
    checked: Callable[[Check], None] = lambda check: None
    warned: Callable[[str], None] = lambda sentence: None


UNWATCHED = Watch()


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run works with.

    Attributes:
        trainer: The network in training.
        pictures: What it learns from.
        val: What it is validated on.
        dataset: What the labels mean.
        normalise: What the network wants of a picture.
    """

    trainer: Trainer
    pictures: Pictures
    val: list[Pair]
    dataset: Dataset
    normalise: Normalise


class Run:
    """Trains until the budget is used up or the check to stop after is done.

    Args:
        parts: What the run works with.
        options: Budget and number of checks.
        files: Where it is saved; an earlier part of the run that lies there is taken up.
        watch: Called as the run goes on.

    Attributes:
        checks: What was found so far, in order.

    Raises:
        AfformerError: What lies there is of another run.
    """

    def __init__(self, parts: Parts, options: TrainOptions, files: RunFiles, watch: Watch) -> None:
        self._parts, self._options, self._files, self._watch = parts, options, files, watch
        self._steps = math.ceil(options.epochs * len(parts.pictures) / options.batch)
        self.checks: list[Check] = []
        if earlier := files.load(parts.trainer.state()):
            state, self.checks = earlier
            try:
                parts.trainer.restore(state)
            except RuntimeError as error:
                raise files.damaged(error) from error

    def finish(self) -> None:
        """Takes the steps that are left.

        Raises:
            AfformerError: The loss is not finite any more, a picture cannot be read, or a file cannot be written.
        """
        options, trainer = self._options, self._parts.trainer
        step, earlier = (self.checks[-1].step, self.checks[-1].seconds) if self.checks else (0, 0.0)
        order = Order(len(self._parts.pictures), options.seed, step * options.batch)
        batches = self._parts.pictures.batches(options.batch, order)
        begun = time.monotonic() - earlier
        share = self._share(step, earlier)
        done = self._due(share)
        while share < 1 and done < (options.stop_after or options.checks):
            trainer.step(next(batches), step, share)
            step += 1
            share = self._share(step, self._clock(step) - begun)
            self._tell(step, share)
            if self._due(share) > done:
                done = self._due(share)
                self._check(step, begun)

    def _share(self, step: int, seconds: float) -> float:
        """How much of the budget is used up, 0..1 or more."""
        return step / self._steps if self._options.minutes is None else seconds / (60 * self._options.minutes)

    def _due(self, share: float) -> int:
        """How many checks must be done by then."""
        return math.floor(min(share, 1.0) * self._options.checks + 1e-9)

    def _clock(self, step: int) -> float:
        device = self._parts.trainer.device
        if device.type == "cuda" and step % _WAIT_EVERY == 0:
            torch.cuda.synchronize(device)
        return time.monotonic()

    def _tell(self, step: int, share: float) -> None:
        total = self._steps if self._options.minutes is None else round(60 * self._options.minutes)
        self._watch.progress("training", min(total, round(share * total)), total)

    def _check(self, step: int, begun: float) -> None:
        """Validates and saves."""
        parts, trainer = self._parts, self._parts.trainer
        loss = float(trainer.lost) / (step - (self.checks[-1].step if self.checks else 0))
        if not math.isfinite(loss):
            raise AfformerError(f"training diverged before step {step}: the loss is {loss}; choose a lower `lr`")
        found = validate(trainer.average, parts.normalise, parts.val, parts.dataset)
        epoch = step * self._options.batch / len(parts.pictures)
        seconds = time.monotonic() - begun
        check = Check(step, epoch, seconds, loss, found.miou, found.pixel_accuracy, found.per_class_iou)
        self.checks.append(check)
        trainer.lost.zero_()
        mean, std = parts.normalise.values()
        save_checkpoint(
            self._files.checkpoint, trainer.average, parts.dataset.classes, parts.dataset.palette, mean=mean, std=std
        )
        self._files.save(trainer.state(), self.checks, f"{self._files.checkpoint.name} on {parts.dataset.title}")
        self._watch.checked(check)
