"""Backends by name; each is imported when it is opened."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from afformer.errors import BackendError
from afformer.files import CHECKPOINT_SUFFIXES, AnyPath
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.runtime.backends.base import Backend, parse_device
from afformer.runtime.choices import Device
from afformer.spec import ModelSpec
from afformer.spec_file import read_spec_file

_LEAST_LIKE = 0.4
"""Likeness from which a name may be meant: `onnx`, `ort`, `trt`, `torch`."""
BackendFactory = Callable[..., Backend]
"""Called with a model file, `device` and `threads`; for checkpoints with `input_hw: tuple[int, int] | None` and
`checkpoint: CheckpointOptions` as well; where the caller gives a spec, with `spec: ModelSpec`."""


@dataclasses.dataclass(frozen=True)
class Registration:
    """A backend that can be opened by name.

    Attributes:
        target: `module:Class`; the class is a `BackendFactory`.
        suffixes: File endings that it opens unless a backend is named.
        extra: The pip extra with its dependencies; empty if the package itself has them.
        any_size: Whether its models are checkpoints, which run at any input size.
        takes_spec: Whether it opens models without a spec of their own, of which the caller gives one.
        device: Where its models run unless a device is named.
    """

    target: str
    suffixes: tuple[str, ...] = ()
    extra: str = ""
    any_size: bool = False
    takes_spec: bool = False
    device: Device = Device.CPU


class Registry:
    """Backends by name."""

    def __init__(self) -> None:
        self._known: dict[str, Registration] = {}

    def register(self, name: str, registration: Registration) -> None:
        """Adds a backend.

        Raises:
            ValueError: The name, or one of the file endings, is taken.
        """
        if name in self._known:
            raise ValueError(f"backend '{name}' is registered twice")
        for suffix in registration.suffixes:
            taken = self._by_suffix(suffix)
            if taken:
                raise ValueError(f"'{suffix}' files are opened by the backend '{taken}' already")
        self._known[name] = registration

    def names(self) -> tuple[str, ...]:
        """All known names, in order of registration."""
        return tuple(self._known)

    def suffixes(self) -> frozenset[str]:
        """The suffixes of all files that are opened without naming a backend."""
        return frozenset(suffix for known in self._known.values() for suffix in known.suffixes)

    def name_for(self, path: AnyPath) -> str:
        """The backend that opens a file unless one is named.

        Raises:
            BackendError: No backend opens files with its ending.
        """
        path = Path(path)
        name = self._by_suffix(path.suffix.lower())
        if name is None:
            endings = ", ".join(ending for known in self._known.values() for ending in known.suffixes)
            raise BackendError(f"{path}: no backend opens '{path.suffix}' files; known endings: {endings}")
        return name

    def has_own_size(self, path: AnyPath, name: str | None = None) -> bool:
        """Whether a model file runs at one input size only.

        Raises:
            BackendError: No backend opens files with its ending.
        """
        return not self._registration(name or self.name_for(path)).any_size

    def device_of(self, path: AnyPath, name: str | None = None, device: Device | None = None) -> Device:
        """Where a model file runs, if `device` is what the caller says.

        Raises:
            BackendError: No backend opens files with its ending.
        """
        return device or self._registration(name or self.name_for(path)).device

    def open(
        self,
        path: AnyPath,
        name: str | None = None,
        *,
        device: Device | str | None = None,
        threads: int = 0,
        input_hw: tuple[int, int] | None = None,
        checkpoint: CheckpointOptions = AS_THE_FILE_SAYS,
        spec: AnyPath | ModelSpec | None = None,
    ) -> Backend:
        """Opens a model file.

        Args:
            path: The model.
            name: The backend; chosen by the file's ending if left out.
            device: Where to run; None means the CPU, or CUDA for backends that need it.
            threads: CPU threads; 0 leaves the choice to the backend.
            input_hw: Size to run a checkpoint at; None means its data set's usual one. An exported model has its own.
            checkpoint: What is said about a checkpoint. An exported model knows all that itself.
            spec: What is said about an ONNX model that somebody else exported, or a spec file that says it.

        Raises:
            BackendError: The name, ending or device is unknown, a dependency is missing, the model has another size,
                or the backend refuses it.
            SpecError: The file has no readable spec, and none is given; or it contradicts the one that is given.
        """
        path = Path(path)
        name = name or self.name_for(path)
        self.check_spec(path, name, spec)
        factory, known = self._factory(name), self._known[name]
        device = known.device if device is None else parse_device(device)
        if known.any_size:
            return factory(path, device=device, threads=threads, input_hw=input_hw, checkpoint=checkpoint)
        if checkpoint != AS_THE_FILE_SAYS:
            raise BackendError(
                f"{path}: is an exported model, which knows its normalisation and classes; "
                f"{checkpoint.named()} can only be said of a checkpoint"
            )
        said = {} if spec is None else {"spec": spec if isinstance(spec, ModelSpec) else read_spec_file(spec)}
        backend = factory(path, device=device, threads=threads, **said)
        if input_hw and backend.spec.input_hw != input_hw:
            own = "x".join(map(str, backend.spec.input_hw))
            backend.close()
            raise BackendError(f"{path}: is a model for {own} only; export the checkpoint again for another size")
        return backend

    def check_name(self, name: str) -> None:
        """Refuses a name that no backend has.

        Raises:
            BackendError: It lists those that there are.
        """
        self._registration(name)

    def check_spec(self, path: AnyPath, name: str, spec: object) -> None:
        """Refuses a spec that is given with a model file which has its own.

        Raises:
            BackendError: It has.
        """
        if spec is None or self._registration(name).takes_spec:
            return
        own = "is a checkpoint" if self._known[name].any_size else "has a spec of its own"
        raise BackendError(f"{path}: {own}, and `spec` is for ONNX models without one; leave it out")

    def _by_suffix(self, suffix: str) -> str | None:
        return next((name for name, known in self._known.items() if suffix in known.suffixes), None)

    def _registration(self, name: str) -> Registration:
        if name not in self._known:
            close = difflib.get_close_matches(name, self._known, 1, _LEAST_LIKE)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BackendError(f"unknown backend '{name}'; known backends: {', '.join(self._known)}{hint}")
        return self._known[name]

    def _factory(self, name: str) -> BackendFactory:
        registration = self._registration(name)
        module, _, attribute = registration.target.partition(":")
        try:
            return cast(BackendFactory, getattr(importlib.import_module(module), attribute))
        except ModuleNotFoundError as error:
            extra = f"[{registration.extra}]" if registration.extra else ""
            raise BackendError(
                f"the backend '{name}' needs the Python module '{error.name}', which is not installed; "
                f'run `pip install "afformer{extra}"`'
            ) from error


_registry = Registry()
register = _registry.register
open_backend = _registry.open
backend_names = _registry.names
backend_name = _registry.name_for
model_suffixes = _registry.suffixes
has_own_size = _registry.has_own_size
check_backend = _registry.check_name
check_spec = _registry.check_spec
device_of = _registry.device_of

register(
    "onnxruntime", Registration("afformer.runtime.backends.onnxruntime:OnnxRuntimeBackend", (".onnx",), takes_spec=True)
)
register(
    "openvino", Registration("afformer.runtime.backends.openvino:OpenVinoBackend", (), "openvino", takes_spec=True)
)
register(
    "pytorch",
    Registration("afformer.runtime.backends.pytorch:PyTorchBackend", CHECKPOINT_SUFFIXES, "export", any_size=True),
)
register(
    "tensorrt",
    Registration("afformer.tensorrt.backend:TensorRtBackend", (".engine", ".plan"), "tensorrt", device=Device.CUDA),
)
register(
    "onnxruntime-tensorrt",
    Registration(
        "afformer.runtime.backends.onnxruntime:OnnxRuntimeTensorRtBackend", takes_spec=True, device=Device.CUDA
    ),
)
