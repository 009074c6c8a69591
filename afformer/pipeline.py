"""The jobs of the toolchain, each wired from its stages: what the command line calls, and what Python users may call.

Stages meet at files and know nothing of each other; this is the one place that imports several of them, inside the
functions, so that each job loads what it needs and no more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afformer import assets, datasets
from afformer.errors import AfformerError, ImageError
from afformer.evaluation import Comparison, Evaluation, Failure, Progress, compare, evaluate, silent
from afformer.images import read_image
from afformer.output import check_writable
from afformer.runtime.backend import Backend, Device
from afformer.runtime.preprocess import Fit
from afformer.runtime.registry import open_backend
from afformer.runtime.render import Renderer
from afformer.runtime.segmenter import Segmenter
from afformer.runtime.sinks import FolderSink, Output, frame_report
from afformer.runtime.sources import PictureFiles, open_source
from afformer.spec import ModelSpec

if TYPE_CHECKING:
    from afformer.export.onnx import ExportOptions, ExportReport


@dataclasses.dataclass(frozen=True)
class Engine:
    """How a model is opened.

    Attributes:
        backend: Name of the backend; by the file's ending if None.
        device: Where to run.
        threads: CPU threads; 0 leaves the choice to the engine.
        fit: How pictures are brought to the input size.
        input_hw: Size to run a checkpoint at; an exported model has its own.
    """

    backend: str | None = None
    device: Device = Device.CPU
    threads: int = 0
    fit: Fit = Fit.STRETCH
    input_hw: tuple[int, int] | None = None

    def open(self, model: Path) -> Backend:
        """Opens a model file."""
        return open_backend(model, self.backend, device=self.device, threads=self.threads, input_hw=self.input_hw)


@dataclasses.dataclass(frozen=True)
class Inference:
    """What `segment_pictures` did."""

    engine: str
    pictures: list[dict[str, Any]]
    written: list[Path]
    failures: list[Failure]
    seconds: float


def export_checkpoint(
    checkpoint: Path, output: Path, options: ExportOptions, verify_images: Path | None = None
) -> ExportReport:
    """Exports a checkpoint to ONNX and verifies the file on real pictures.

    Args:
        checkpoint: Any AFFormer checkpoint file.
        output: The `.onnx` file to write.
        options: What the model shall be like.
        verify_images: Folder of pictures to verify on; None takes the bundled ones.

    Raises:
        AfformerError: The dependencies are missing, the checkpoint does not fit, the result differs, or a file cannot
            be read or written.
    """
    with needs("export"):
        from afformer.export.onnx import export_onnx
    check_writable(output)
    pictures = [read_image(path) for path in (open_source(verify_images).paths if verify_images else assets.pictures())]
    return export_onnx(checkpoint, output, options, pictures, lambda path: open_backend(path).run)


def segment_pictures(
    model: Path,
    source: Sequence[str | Path],
    folder: Path,
    *,
    engine: Engine = Engine(),
    outputs: Iterable[Output] = (Output.OVERLAY, Output.MASK),
    legend: bool = False,
    opacity: float = 0.5,
    outlines: bool = True,
    progress: Progress = silent,
) -> Inference:
    """Segments pictures and writes the results into a folder. One that cannot be read is reported and left out.

    Raises:
        AfformerError: The model cannot be opened, there are no pictures, or the folder cannot be written.
    """
    pictures = open_source(source)
    with engine.open(model) as backend:
        segmenter = Segmenter(backend, fit=engine.fit)
        renderer = Renderer(backend.spec.classes, backend.spec.palette, opacity, outlines)
        sink = FolderSink(folder, renderer, outputs, legend=legend, protected=pictures.paths)
        return _segment_all(pictures, segmenter, sink, progress)


def _segment_all(pictures: PictureFiles, segmenter: Segmenter, sink: FolderSink, progress: Progress) -> Inference:
    reports: list[dict[str, Any]] = []
    written: list[Path] = []
    failures: list[Failure] = []
    start = time.perf_counter()
    for path in progress(pictures.paths):
        frame = next(iter(PictureFiles([path])))
        if isinstance(frame.content, ImageError):
            failures.append(Failure(path, str(frame.content)))
            continue
        classmap = segmenter(frame.content)
        files = sink.write(frame, classmap)
        written += files
        report = frame_report(frame, classmap, segmenter.spec.classes)
        reports.append({**report, "files": [str(file) for file in files]})
    return Inference(segmenter.backend.description, reports, written, failures, time.perf_counter() - start)


def evaluate_model(
    model: Path,
    images: Path,
    labels: Path,
    *,
    dataset: str | None = None,
    engine: Engine = Engine(),
    progress: Progress = silent,
) -> Evaluation:
    """Measures a model on labelled pictures.

    Args:
        model: A model file or a checkpoint.
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
        engine: How to open the model.
        progress: Shows progress over the pictures.

    Raises:
        AfformerError: The model cannot be opened, or the folders do not fit together.
    """
    with engine.open(model) as backend:
        convention = _convention(backend.spec, dataset, model)
        pairs = datasets.pairs(convention, images, labels)
        return evaluate(Segmenter(backend, fit=engine.fit), pairs, convention, progress)


def compare_models(
    a: Path, b: Path, images: Path, *, engine: Engine = Engine(), progress: Progress = silent
) -> Comparison:
    """Measures how far two models, or a model and a checkpoint, agree on pictures; `a` is taken for the truth.

    A checkpoint is run at the other model's size.

    Raises:
        AfformerError: A model cannot be opened, or they have different classes.
    """
    pictures = open_source(images).paths
    size = engine.input_hw or next((_fixed_size(path) for path in (a, b) if path.suffix == ".onnx"), None)
    engine = dataclasses.replace(engine, input_hw=size)
    with engine.open(a) as first, engine.open(b) as second:
        if first.spec.classes != second.spec.classes:
            raise AfformerError(
                f"{a} has {first.spec.num_classes} classes and {b} has {second.spec.num_classes}, or they are named "
                "differently; only models of the same classes can be compared"
            )
        segment_a, segment_b = Segmenter(first, fit=engine.fit), Segmenter(second, fit=engine.fit)
        return compare(segment_a, segment_b, pictures, first.spec.classes, progress)


def inspect_model(model: Path, engine: Engine = Engine()) -> dict[str, Any]:
    """What a model says of itself, as plain data."""
    import json

    from afformer.runtime.backend import input_tensor, output_tensor

    with engine.open(model) as backend:
        tensors = {"input": input_tensor(backend.spec), "output": output_tensor(backend.spec)}
        described = {
            kind: {"name": tensor.name, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}
            for kind, tensor in tensors.items()
        }
        return {
            "path": str(model),
            "bytes": model.stat().st_size,
            "engine": backend.description,
            "tensors": described,
            "spec": json.loads(backend.spec.to_json()),
        }


def demo_model(folder: Path, say: Callable[[str], None]) -> Path:
    """The model for the demo: exported from the bundled checkpoint where PyTorch is installed, else the bundled one."""
    import importlib.util

    if not all(importlib.util.find_spec(name) for name in ("torch", "onnx", "onnxscript", "onnxsim", "safetensors")):
        say('PyTorch and ONNX are not installed (pip install "afformer[export]"): taking the model that is bundled')
        return assets.MODEL
    from afformer.export.onnx import ExportOptions

    output = folder / "afformer_tiny_camvid_360x480.onnx"
    say(f"exporting {assets.CHECKPOINT.name} at 360x480 and verifying it against PyTorch")
    report = export_checkpoint(assets.CHECKPOINT, output, ExportOptions((360, 480)))
    say(f"  {report.verification.summary()}")
    return output


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


def _convention(spec: ModelSpec, dataset: str | None, model: Path) -> datasets.Dataset:
    """The label convention, with the model's own class names where it is not of a known data set."""
    name = dataset or spec.dataset
    if name == "custom":
        return datasets.custom(spec.classes, spec.palette)
    known = datasets.by_name(name)
    if known.num_classes != spec.num_classes:
        raise AfformerError(f"{model} has {spec.num_classes} classes, but {known.title} has {known.num_classes}")
    return known


def _fixed_size(model: Path) -> tuple[int, int]:
    with open_backend(model) as backend:
        return backend.spec.input_hw
