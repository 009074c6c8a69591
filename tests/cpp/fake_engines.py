"""Engines for the stand-ins of NVIDIA's libraries in cpp/tests/fake_nvidia, and what these do with them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from afformer.runtime.backends.base import Array, input_tensor, output_tensor
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.cpp.driver import Driver

SPEC = ModelSpec(
    variant="tiny",
    input_hw=(40, 61),
    classes=("a", "b", "c", "d", "e"),
    palette=((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)),
    precision=Precision.FP16,
)
BYTES = dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
HERE = Gpu("Fake GPU", (8, 6))
"""What the stand-in for CUDA finds."""
VERSION = "10.3.0"
"""What the stand-in for TensorRT says of itself."""

_TYPES = {np.dtype(np.float32): 0, np.dtype(np.uint8): 5}
"""Numbers of `nvinfer1::DataType`."""


def write_engine(folder: Path, spec: ModelSpec = SPEC, pad: int = 0, **changes: Any) -> Path:
    """A plan that the stand-in reads, with the JSON beside it.

    Args:
        folder: Where.
        spec: Whose tensors the plan has.
        pad: Bytes that the plan is longer than it must be.
        changes: Fields of the JSON that are not as they should be.
    """
    tensors = input_tensor(spec), output_tensor(spec)
    lines = [f"{name} {_TYPES[dtype]} {' '.join(map(str, shape))}" for name, shape, dtype in tensors]
    plan = "\n".join(lines) + pad * " "
    path = folder / "model.engine"
    path.write_text(plan)
    file = EngineInfo(
        spec=spec,
        engine_sha256=hashlib.sha256(plan.encode()).hexdigest(),
        library=Library.TENSORRT,
        version="10.3.0.26",
        cuda="12.6",
        gpu=HERE,
        source="model.onnx",
        source_sha256="0" * 64,
    )
    json_path(path).write_text(dataclasses.replace(file, **changes).to_json())
    return path


def infer(spec: ModelSpec) -> Callable[[Array], Array]:
    """What the stand-in for a network answers."""

    def answer(image: Array) -> Array:
        if spec.input is InputKind.UINT8:
            return image[..., 0] % 5
        grid = image[:, :, ::8, ::8]
        planes = [grid[:, index % 3] * np.float32(index + 1) for index in range(spec.num_classes)]
        return np.stack(planes, axis=1)

    return answer


def noise() -> list[npt.NDArray[np.uint8]]:
    """`(H, 80, 3)` pictures of different heights."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, 80, 3), dtype=np.uint8) for height in (53, 62, 71)]


def reraise(driver: Driver) -> None:
    """Raises what kept a driver from opening its engine."""
    if driver.problem is not None:
        raise driver.problem
