"""What is known about an engine, kept beside it as `MODEL.engine.json`.

An engine has no room for a spec, and loads only on the GPU and the version that it was built for.

"engine_version": 1                    format of this file
"spec": {...}                          as `ModelSpec.to_json` writes it
"precision": "fp16"                    what was asked for, and checked
"plan": {"sha256": "...", "version_compatible": false, "hardware_compatible": false}     the engine file
"tensorrt": {"library": "tensorrt", "version": "10.3.0", "cuda": "12.6"}
"gpu": {"name": "Orin", "compute_capability": "8.7"}, or null for an engine of no GPU in particular
"source": {"name": "model.onnx", "sha256": "..."}
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from afformer.errors import BackendError, SpecError
from afformer.foreign import UNREADABLE, quoted, reason, text
from afformer.spec import ModelSpec
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library, version_numbers

ENGINE_VERSION = 1
_VERSION_NUMBERS = 3


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """What is known about an engine.

    Attributes:
        spec: Of the model inside; its precision is the engine's.
        engine_sha256: Hex digest of the engine file, so that an engine and a JSON of two builds are told apart.
        library: What built it.
        version: Of the library.
        cuda: Newest CUDA version that the driver of the build supported; empty if there was none.
        gpu: The GPU that it was built on; None for an engine of no GPU in particular.
        source: Name of the ONNX file.
        source_sha256: Hex digest of that file.
        version_compatible: Whether later versions of the library may run it.
        hardware_compatible: Whether other GPUs, Ampere or later, may run it.
    """

    spec: ModelSpec
    engine_sha256: str
    library: Library
    version: str
    cuda: str
    gpu: Gpu | None
    source: str
    source_sha256: str
    version_compatible: bool = False
    hardware_compatible: bool = False

    def to_json(self) -> str:
        """The file's text."""
        gpu = self.gpu and {
            "name": self.gpu.name,
            "compute_capability": ".".join(map(str, self.gpu.compute_capability)),
        }
        fields = {
            "engine_version": ENGINE_VERSION,
            "spec": json.loads(self.spec.to_json()),
            "precision": self.spec.precision.value,
            "plan": {
                "sha256": self.engine_sha256,
                "version_compatible": self.version_compatible,
                "hardware_compatible": self.hardware_compatible,
            },
            "tensorrt": {"library": self.library.value, "version": self.version, "cuda": self.cuda},
            "gpu": gpu,
            "source": {"name": self.source, "sha256": self.source_sha256},
        }
        return json.dumps(fields, indent=2) + "\n"

    def read_engine(self, engine: Path) -> bytes:
        """The content of the engine file that this describes.

        Raises:
            BackendError: `engine` is another one, or incomplete.
        """
        try:
            content = engine.read_bytes()
        except (OSError, ValueError) as error:
            raise BackendError(f"{engine}: cannot be read ({reason(error)}); check the path") from error
        if hashlib.sha256(content).hexdigest() != self.engine_sha256:
            raise BackendError(
                f"{engine}: is not the engine that {json_path(engine).name} describes, or not all of it; copy both "
                "again, or build the engine again"
            )
        return content

    def rebuild_command(self, engine: str) -> str:
        """The command that builds such an engine from the same ONNX file.

        Args:
            engine: Name of the engine to write.
        """
        source, output = shlex.quote(self.source), shlex.quote(engine)
        rtx = " --rtx" if self.library is Library.TENSORRT_RTX else ""
        return f"afformer-cli engine {source} -o {output} --precision {self.spec.precision.value}{rtx}"

    @classmethod
    def from_json(cls, text: str, where: str) -> EngineInfo:
        """Reads the output of `to_json`; `where` names the file in errors.

        Raises:
            SpecError: The text is something else, or of another format.
        """
        try:
            fields = json.loads(text)
            version = fields["engine_version"]
            if version == ENGINE_VERSION:
                return cls(spec=ModelSpec.from_json(json.dumps(fields["spec"]), where), **_parsed(fields))
        except UNREADABLE as error:
            raise SpecError(f"{where}: cannot be read ({reason(error)}); build the engine again") from error
        raise SpecError(
            f"{where}: engine format {quoted(version)}, but this version reads format {ENGINE_VERSION}; "
            "use a matching afformer version or build the engine again"
        )

    @classmethod
    def beside(cls, engine: Path) -> EngineInfo:
        """Reads the JSON beside an engine.

        Raises:
            SpecError: It is missing, or cannot be read.
        """
        path = json_path(engine)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(
                f"{path}: cannot be read ({reason(error)}), and without it the engine's classes and size are "
                "unknown; keep the JSON beside its engine, or build both with `afformer-cli engine`"
            ) from error
        return cls.from_json(text, str(path))


def require_engine(engine: Path) -> None:
    """Checks that the engine file exists.

    Raises:
        BackendError: It does not.
    """
    if not engine.is_file():
        raise BackendError(f"{engine}: no such engine file")


def json_path(engine: Path) -> Path:
    """Path of the JSON beside an engine."""
    return engine.with_name(f"{engine.name}.json")


def _parsed(fields: dict[str, Any]) -> dict[str, Any]:
    engine, tensorrt, gpu, source = fields["plan"], fields["tensorrt"], fields["gpu"], fields["source"]
    return {
        "engine_sha256": text(engine["sha256"]),
        "library": Library(tensorrt["library"]),
        "version": _version(tensorrt["version"]),
        "cuda": _line(tensorrt["cuda"]),
        "gpu": None if gpu is None else Gpu(_line(gpu["name"]), _capability(gpu["compute_capability"])),
        "source": _line(source["name"]),
        "source_sha256": text(source["sha256"]),
        "version_compatible": bool(engine["version_compatible"]),
        "hardware_compatible": bool(engine["hardware_compatible"]),
    }


def _line(value: Any) -> str:
    """A text that stands in messages of one line."""
    return " ".join(text(value).split())


def _version(value: Any) -> str:
    version = _line(value)
    if len(version_numbers(version)) < _VERSION_NUMBERS:  # of no numbers, any version would be the same
        raise ValueError(f"tensorrt.version is {quoted(version)}, expected three numbers or more like 10.3.0")
    return version


def _capability(text: str) -> tuple[int, int]:
    major, minor = map(int, text.split("."))
    return major, minor
