"""Models against labels, against each other, and against the clock."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

from afformer import assets, datasets
from afformer.errors import AfformerError, ImageError
from afformer.measure.benchmark import CALLS, Benchmark, benchmark
from afformer.measure.evaluation import Comparison, Evaluation, Progress, compare, evaluate, silent
from afformer.measure.timing import Contender, Seen, unseen
from afformer.runtime.backends.base import Backend, Device, parse_device
from afformer.runtime.backends.registry import has_own_size
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.streams.picture_files import open_pictures


def evaluate_model(
    model: Path,
    images: Path,
    labels: Path,
    *,
    dataset: str | None = None,
    open_options: OpenOptions = DEFAULT,
    progress: Progress = silent,
) -> Evaluation:
    """Measures a model on labelled pictures.

    Args:
        model: A model file or a checkpoint.
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
        open_options: How to open the model.
        progress: Shows progress over the pictures.

    Raises:
        AfformerError: The model cannot be opened, or the folders do not fit together.
    """
    with open_options.open_backend(model) as backend:
        convention = datasets.for_model(backend.spec, dataset, model)
        pairs = datasets.pairs(convention, images, labels)
        return evaluate(Segmenter(backend, fit=open_options.fit), pairs, convention, progress)


def compare_models(
    a: Path, b: Path, images: Path, *, open_options: OpenOptions = DEFAULT, progress: Progress = silent
) -> Comparison:
    """Measures how far two models, or a model and a checkpoint, agree on pictures; `a` is taken for the truth.

    A checkpoint is run at the other model's size.

    Raises:
        AfformerError: A model cannot be opened, or they have different classes.
    """
    pictures = open_pictures(images).paths
    with contextlib.ExitStack() as stack:
        first, second = _open_both(open_options, a, b, stack)
        if first.spec.classes != second.spec.classes:
            raise AfformerError(
                f"{a} has {first.spec.num_classes} classes and {b} has {second.spec.num_classes}, or they are named "
                "differently; only models of the same classes can be compared"
            )
        segment_a, segment_b = Segmenter(first, fit=open_options.fit), Segmenter(second, fit=open_options.fit)
        return compare(segment_a, segment_b, pictures, first.spec.classes, progress)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Pictures with labels.

    Attributes:
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
    """

    images: Path
    labels: Path
    dataset: str | None = None


def benchmark_models(
    models: Sequence[Path],
    *,
    backends: Sequence[str] = (),
    threads: Sequence[int] = (0,),
    device: Device | str | None = None,
    input_hw: tuple[int, int] | None = None,
    picture: Path | None = None,
    calls: int = CALLS,
    profile: bool = False,
    labelled: Labelled | None = None,
    seen: Seen = unseen,
) -> Benchmark:
    """Measures every model on every backend with every number of threads against the first of them.

    Args:
        models: Model files or checkpoints.
        backends: Names; by the files' endings if empty.
        threads: Numbers of CPU threads; 0 leaves the choice to the engine.
        device: Where to run; None is the CPU, except for engines of a GPU.
        input_hw: Size to run checkpoints at.
        picture: What to segment; a bundled picture if None.
        calls: Calls of each that count.
        profile: Ask for the dearest operators, too.
        labelled: What to measure mIoU on; none is measured if None.
        seen: Told after each round how many are done, of how many.

    Raises:
        AfformerError: A model cannot be opened or run, or a picture or a label cannot be read.
    """
    where = None if device is None else parse_device(device).value
    contenders = [
        Contender(model, backend, count, where, input_hw)
        for model, backend, count in itertools.product(models, backends or (None,), threads)
    ]
    accuracy = functools.partial(_accuracy, labelled) if labelled else None
    picture = picture or assets.pictures()[0]
    return benchmark(contenders, picture, calls=calls, profile=profile, accuracy=accuracy, seen=seen)


def _accuracy(labelled: Labelled, contender: Contender) -> float:
    device = None if contender.device is None else parse_device(contender.device)
    open_options = OpenOptions(contender.backend, device, contender.threads, input_hw=contender.input_hw)
    result = evaluate_model(
        contender.path, labelled.images, labelled.labels, dataset=labelled.dataset, open_options=open_options
    )
    for failure in result.failures:
        raise ImageError(failure.reason)
    return result.miou


def _open_both(open_options: OpenOptions, a: Path, b: Path, stack: contextlib.ExitStack) -> tuple[Backend, Backend]:
    """Opens the model that has a size of its own first, so that a checkpoint can be run at that size."""
    exported = [path for path in (a, b) if has_own_size(path, open_options.backend)]
    opened = {path: stack.enter_context(open_options.open_backend(path)) for path in exported[:1]}
    size = next((backend.spec.input_hw for backend in opened.values()), open_options.input_hw)
    open_options = dataclasses.replace(open_options, input_hw=open_options.input_hw or size)
    first, second = (opened.get(path) or stack.enter_context(open_options.open_backend(path)) for path in (a, b))
    return first, second
