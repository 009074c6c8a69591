from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array, Backend, input_tensor, output_tensor, parse_device
from afformer.runtime.choices import Device
from afformer.spec import OutputKind
from tests.builders.tiny_onnx import SPEC, variants


class _Counting(Backend):
    """Counts how often the model is freed."""

    def __init__(self) -> None:
        self.spec, self.description, self.freed = SPEC, "counting", 0

    def _run(self, image: Array) -> Array:
        return image

    def _close(self) -> None:
        self.freed += 1


def test_a_model_is_freed_once_however_often_it_is_closed() -> None:
    with _Counting() as backend:
        backend.close()
    assert isinstance(backend, _Counting)
    assert backend.freed == 1


def test_a_backend_is_closed_when_an_error_leaves_the_block() -> None:
    backend = _Counting()
    with pytest.raises(RuntimeError), backend:
        raise RuntimeError
    assert backend.freed == 1


def test_tensors_follow_the_spec() -> None:
    assert input_tensor(SPEC) == ("image", (1, 3, 64, 96), np.dtype(np.float32))
    assert input_tensor(variants()["bytes in"]) == ("image", (1, 64, 96, 3), np.dtype(np.uint8))
    assert output_tensor(variants()["odd size"]) == ("logits", (1, 4, 9, 11), np.dtype(np.float32))
    assert output_tensor(variants()["class map out"]) == ("classmap", (1, 64, 96), np.dtype(np.uint8))


def test_class_maps_of_more_than_256_classes_are_int32() -> None:
    names = tuple(str(i) for i in range(257))
    spec = dataclasses.replace(SPEC, classes=names, palette=((0, 0, 0),) * 257, output=OutputKind.CLASSMAP)
    assert output_tensor(spec).dtype == np.int32


def test_devices_have_names() -> None:
    assert parse_device("cuda") is parse_device(Device.CUDA) is Device.CUDA
    with pytest.raises(BackendError, match="unknown device 'tpu'; known devices: cpu, cuda"):
        parse_device("tpu")
