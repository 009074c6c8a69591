"""How models are opened, for every job."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from afformer import datasets
from afformer.errors import AfformerError
from afformer.images import RGBImage
from afformer.latency import Contender, Timing, race
from afformer.runtime.backend import Array, Backend, Device
from afformer.runtime.preprocess import Fit, prepare
from afformer.runtime.registry import open_backend
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec


@dataclasses.dataclass(frozen=True)
class Engine:
    """How a model is opened.

    Attributes:
        backend: Name of the backend; by the file's ending if None.
        device: Where to run; None is the CPU, except for engines of a GPU.
        threads: CPU threads; 0 leaves the choice to the engine.
        fit: How pictures are brought to the input size.
        input_hw: Size to run a checkpoint at; an exported model has its own.
    """

    backend: str | None = None
    device: Device | None = None
    threads: int = 0
    fit: Fit = Fit.STRETCH
    input_hw: tuple[int, int] | None = None

    def open(self, model: Path) -> Backend:
        """Opens a model file."""
        return open_backend(model, self.backend, device=self.device, threads=self.threads, input_hw=self.input_hw)

    @contextlib.contextmanager
    def segmenter(self, model: Path) -> Iterator[Segmenter]:
        """Opens a model file as a segmenter."""
        with self.open(model) as backend:
            yield Segmenter(backend, fit=self.fit)

    def prepare(self, spec: ModelSpec) -> Callable[[RGBImage], Array]:
        """What makes of a picture the input tensor of a model, without its batch axis."""
        return lambda image: prepare(image, spec, self.fit).tensor

    def race(self, models: Sequence[Path], seen: Callable[[int, int], None]) -> list[Timing]:
        """Times model files by turns against the first one."""
        device = self.device and self.device.value
        contenders = [Contender(model, self.backend, self.threads, device) for model in models]
        return race(contenders, seen=seen)


ANY_ENGINE = Engine()
"""What opens the file, where it usually runs."""


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turns a missing package into the line that installs it.

    Raises:
        AfformerError: The body imported a module that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AfformerError(
            f"this needs the Python package '{error.name}', which is not installed; "
            f'run `pip install "afformer[{extra}]"`'
        ) from error


def convention_of(spec: ModelSpec, dataset: str | None, model: Path) -> datasets.Dataset:
    """The label convention, with the model's own class names where it is not of a known data set."""
    name = dataset or spec.dataset
    if name == "custom":
        return datasets.custom(spec.classes, spec.palette)
    known = datasets.by_name(name)
    if known.num_classes != spec.num_classes:
        raise AfformerError(f"{model} has {spec.num_classes} classes, but {known.title} has {known.num_classes}")
    return known
