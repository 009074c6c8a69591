"""`write_repository`: a folder from which Triton serves models."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afformer.errors import AfformerError, BackendError
from afformer.extras import requires_extra
from afformer.files import new_folder
from afformer.inspection import read_spec
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.choices import Device, Fit
from afformer.runtime.opening import OpenOptions
from afformer.serve.options import ModelFile
from afformer.spec import ModelSpec
from afformer.tensorrt.engine_info import EngineInfo
from afformer.tensorrt.packages import Library
from afformer.triton.config import (
    LABELS,
    Config,
    Instances,
    classmap_config,
    decode_config,
    ensemble_config,
    network_config,
)
from afformer.triton.protobuf_text import protobuf_text

_STEPS = Path(__file__).parent / "steps"
_VERSION = "1"
_FILES = {"onnxruntime_onnx": "model.onnx", "tensorrt_plan": "model.plan"}
"""What Triton expects a model of each platform to be called."""


@dataclasses.dataclass(frozen=True)
class TritonOptions:
    """How Triton serves models.

    Attributes:
        device: Where models run; None means the CPU, or CUDA for engines.
        instances: Copies of each model, where the model does not say its own.
        threads: CPU threads of each copy, likewise; 0 leaves the choice to ONNX Runtime.
        max_batch: Pictures that Triton may gather into a call of an ONNX model of batch 1; 0 leaves models as they are.
        max_wait_ms: How long a request waits for others, in milliseconds.
        pictures: Whether each model gets another one beside it that takes picture files.
        fit: How pictures are brought to the input size.
        spec: Spec file of ONNX models that have no spec of their own.
    """

    device: Device | None = None
    instances: int = 1
    threads: int = 0
    max_batch: int = 0
    max_wait_ms: float = 2.0
    pictures: bool = False
    fit: Fit = Fit.STRETCH
    spec: Path | None = None

    def of(self, model: ModelFile, device: Device) -> Instances:
        """How a model runs."""
        threads = self.threads if model.threads is None else model.threads
        count = model.workers or self.instances
        return Instances(device, count, threads, self.max_batch, round(self.max_wait_ms * 1000))


@dataclasses.dataclass(frozen=True)
class Repository:
    """What was written.

    Attributes:
        folder: The folder.
        models: Names of Triton's models in it.
    """

    folder: Path
    models: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"folder": str(self.folder), "models": list(self.models)}


def write_repository(models: Mapping[str, ModelFile], folder: Path, options: TritonOptions) -> Repository:
    """Writes a model repository for Triton.

    Args:
        models: The model files by the names that requests use. An engine is not loaded: it need not run here.
        folder: The folder to make; must be empty or not exist.
        options: How Triton serves them.

    Raises:
        AfformerError: A model cannot be served by Triton or not as `options` say, a name is taken by the steps of
            another model, or the folder is not empty or cannot be written.
    """
    if options.fit is Fit.SLIDE:
        raise AfformerError("`fit=slide` needs many calls for a picture, and Triton's steps make one; use another fit")
    with new_folder(folder) as draft:
        for name, model in models.items():
            _add(draft, name, model, options)
        written = tuple(sorted(path.name for path in draft.iterdir()))
    return Repository(folder, written)


def _add(draft: Path, name: str, model: ModelFile, options: TritonOptions) -> None:
    platform, device = _platform(model.path, options)
    spec, _ = read_spec(model.path, OpenOptions(spec=options.spec))
    instances = options.of(model, device)
    network = _model_folder(draft, name, network_config(name, spec, platform, instances), spec)
    _copy(model.path, network / _FILES[platform], spec, options)
    if options.pictures:
        if spec.batch != 1:
            raise AfformerError(
                f"{model.path}: has a batch of {spec.batch}, and `pictures` needs 1; export it with `batch=1`"
            )
        _add_pictures(draft, name, spec, options.fit, instances)


def _add_pictures(draft: Path, name: str, spec: ModelSpec, fit: Fit, instances: Instances) -> None:
    """The ensemble NAME_picture and its steps."""
    decode, classmap, whole = (f"{name}_{step}" for step in ("decode", "classmap", "picture"))
    for step, config in (
        (decode, decode_config(decode, spec, fit, instances)),
        (classmap, classmap_config(classmap, spec, fit, instances)),
    ):
        version = _model_folder(draft, step, config, None)
        shutil.copyfile(_STEPS / f"{step.rpartition('_')[2]}.py", version / "model.py")
    _model_folder(draft, whole, ensemble_config(whole, spec, name, decode, classmap), spec)


def _model_folder(draft: Path, name: str, config: Config, spec: ModelSpec | None) -> Path:
    """Makes a model's folder; returns that of its version."""
    place = draft / name
    if place.exists():
        raise AfformerError(f"model name '{name}' is taken by the steps of another model; write NAME=MODEL")
    (place / _VERSION).mkdir(parents=True)
    (place / "config.pbtxt").write_text(protobuf_text(config), encoding="ascii")
    if spec:
        labels = "".join(f"{' '.join(label.split())}\n" for label in spec.classes)
        (place / LABELS).write_text(labels, encoding="utf-8")
    return place / _VERSION


def _platform(model: Path, options: TritonOptions) -> tuple[str, Device]:
    """Triton's name of what runs the file, and where it does."""
    kind = backend_name(model)
    if kind == "onnxruntime":
        return "onnxruntime_onnx", options.device or Device.CPU
    if kind != "tensorrt":
        raise AfformerError(f"{model}: is not a model that Triton runs; export it with `afformer-cli export`")
    info = EngineInfo.beside(model)
    info.read_engine(model)
    if info.library is not Library.TENSORRT:
        raise BackendError(f"{model}: is an engine of {info.library.title}, and Triton runs those of TensorRT alone")
    if options.device is Device.CPU:
        raise BackendError(f"{model}: `device=cpu`: an engine runs on its GPU")
    if options.max_batch:
        raise BackendError(
            f"{model}: is an engine, whose batch is fixed; build it from a model exported with that batch"
        )
    return "tensorrt_plan", Device.CUDA


def _copy(model: Path, target: Path, spec: ModelSpec, options: TritonOptions) -> None:
    if options.max_batch:
        with requires_extra("quantize"):
            from afformer.triton.free_batch import free_batch
        free_batch(model, target, spec)
        return
    shutil.copyfile(model, target)
    if target.suffix == ".onnx":
        _require_whole(target, model, options)


def _require_whole(copy: Path, model: Path, options: TritonOptions) -> None:
    """Refuses a model that opens in its place, but not in the repository."""
    try:
        read_spec(copy, OpenOptions(spec=options.spec))
    except AfformerError as error:
        raise BackendError(
            f"{model}: needs other files beside it, such as weights in a file of their own; write it whole with "
            f"onnx.save(onnx.load({model.name!r}), 'whole.onnx')"
        ) from error
