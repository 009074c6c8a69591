"""What lies beside a TensorRT plan, as `MODEL.engine.json`: a plan has no room for a spec and loads only where it fits.

"engine_version": 1
"spec": {...}                          as `ModelSpec.to_json` writes it
"precision": "fp16"                    what was asked for, and checked
"plan": {"sha256": "...", "version_compatible": false, "hardware_compatible": false}
"tensorrt": {"library": "tensorrt", "version": "10.3.0", "cuda": "12.6"}
"gpu": {"name": "Orin", "compute_capability": "8.7"}, or null where the plan is made for no GPU in particular
"source": {"name": "model.onnx", "sha256": "..."}
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from afformer.errors import BackendError, SpecError
from afformer.spec import ModelSpec

ENGINE_VERSION = 1


class Library(enum.Enum):
    """Which of NVIDIA's two TensorRTs builds and runs a plan; neither reads the other's."""

    TENSORRT = "tensorrt"
    """TensorRT 10 and 11: servers, PCs, Jetson. A plan is built on the GPU that runs it."""
    TENSORRT_RTX = "tensorrt_rtx"
    """TensorRT for RTX: PCs with an RTX GPU. A plan is built anywhere and finished where it runs."""

    @property
    def title(self) -> str:
        """NVIDIA's name for it."""
        return {Library.TENSORRT: "TensorRT", Library.TENSORRT_RTX: "TensorRT-RTX"}[self]


@dataclasses.dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: As the driver has it.
        compute_capability: Major and minor number.
    """

    name: str
    compute_capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} (compute capability {'.'.join(map(str, self.compute_capability))})"


@dataclasses.dataclass(frozen=True)
class EngineFile:
    """What is known about a plan.

    Attributes:
        spec: Of the model inside; its precision is the plan's.
        plan_sha256: Hex digest of the plan, so that a plan and a JSON that do not belong together are found out.
        library: What built it.
        version: Of the library.
        cuda: CUDA version of the driver that it was built with; empty if there was none.
        gpu: What it was built on; None if it is made for no GPU in particular.
        source: Name of the ONNX file.
        source_sha256: Hex digest of that file.
        version_compatible: Whether later versions of the library may run it.
        hardware_compatible: Whether other GPUs, Ampere or later, may run it.
    """

    spec: ModelSpec
    plan_sha256: str
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
                "sha256": self.plan_sha256,
                "version_compatible": self.version_compatible,
                "hardware_compatible": self.hardware_compatible,
            },
            "tensorrt": {"library": self.library.value, "version": self.version, "cuda": self.cuda},
            "gpu": gpu,
            "source": {"name": self.source, "sha256": self.source_sha256},
        }
        return json.dumps(fields, indent=2) + "\n"

    def read_plan(self, plan: Path) -> bytes:
        """The plan, if it is the one that this describes.

        Raises:
            BackendError: It is another one, or not all of it.
        """
        content = plan.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.plan_sha256:
            raise BackendError(
                f"{plan}: is not the engine that {json_path(plan).name} describes, or not all of it; copy both again, "
                "or build the engine again"
            )
        return content

    def command(self, plan: str) -> str:
        """The line that builds such a plan again from the same ONNX file.

        Args:
            plan: Name of the plan to write.
        """
        source, output = shlex.quote(self.source), shlex.quote(plan)
        rtx = " --rtx" if self.library is Library.TENSORRT_RTX else ""
        return f"afformer-cli engine {source} -o {output} --precision {self.spec.precision.value}{rtx}"

    @classmethod
    def from_json(cls, text: str, where: str) -> EngineFile:
        """Reads `to_json`'s output; `where` names the file in errors.

        Raises:
            SpecError: The text is nothing of the kind, or of a newer format.
        """
        try:
            fields = json.loads(text)
            version = fields["engine_version"]
            if version == ENGINE_VERSION:
                return cls(spec=ModelSpec.from_json(json.dumps(fields["spec"]), where), **_parsed(fields))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise SpecError(f"{where}: cannot be read ({error!r}); build the engine again") from error
        raise SpecError(
            f"{where}: engine format {version}, but this version reads format {ENGINE_VERSION}; "
            "use a matching afformer version or build the engine again"
        )

    @classmethod
    def beside(cls, plan: Path) -> EngineFile:
        """Reads what lies beside a plan.

        Raises:
            SpecError: It is not there, or cannot be read.
        """
        path = json_path(plan)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text"
            raise SpecError(
                f"{path}: cannot be read ({reason}), and without it the engine's classes and size are unknown; keep "
                "the JSON beside its engine, or build both with `afformer-cli engine`"
            ) from error
        return cls.from_json(text, str(path))


def require_plan(plan: Path) -> None:
    """Whether there is a plan.

    Raises:
        BackendError: There is no such file.
    """
    if not plan.is_file():
        raise BackendError(f"{plan}: no such engine file")


def json_path(plan: Path) -> Path:
    """Where the JSON of a plan lies."""
    return plan.with_name(f"{plan.name}.json")


def _parsed(fields: dict[str, Any]) -> dict[str, Any]:
    plan, tensorrt, gpu, source = fields["plan"], fields["tensorrt"], fields["gpu"], fields["source"]
    return {
        "plan_sha256": str(plan["sha256"]),
        "library": Library(tensorrt["library"]),
        "version": str(tensorrt["version"]),
        "cuda": str(tensorrt["cuda"]),
        "gpu": None if gpu is None else Gpu(str(gpu["name"]), _capability(gpu["compute_capability"])),
        "source": str(source["name"]),
        "source_sha256": str(source["sha256"]),
        "version_compatible": bool(plan["version_compatible"]),
        "hardware_compatible": bool(plan["hardware_compatible"]),
    }


def _capability(text: str) -> tuple[int, int]:
    major, minor = map(int, text.split("."))
    return major, minor
