"""Backends that `peers.py` compares with and the package does not offer; importing this module registers them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afformer.images import read_image
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.onnx_file import read_onnx_file
from afformer.runtime.backends.base import Array, Backend
from afformer.runtime.backends.registry import Registration, register
from afformer.runtime.choices import Device
from afformer.runtime.preprocess import fit_picture
from afformer.spec import ModelSpec


def open_compiled(
    path: Path,
    *,
    device: Device,
    threads: int,
    input_hw: tuple[int, int] | None = None,
    checkpoint: CheckpointOptions = AS_THE_FILE_SAYS,
) -> Backend:
    """A checkpoint as the reference network under `torch.compile`."""
    import torch

    from afformer.runtime.backends.pytorch import PyTorchBackend

    backend = PyTorchBackend(path, device, threads, input_hw, checkpoint)
    backend._network = torch.compile(backend._network)  # type: ignore[assignment]
    backend.description = f"{backend.description}, torch.compile"
    return backend


def open_openvino_default(path: Path, *, device: Device, threads: int) -> Backend:
    """OpenVINO as it runs when nobody asks for a precision: bfloat16 where the CPU has it."""
    from afformer.runtime.backends.openvino import FloatPrecision, OpenVinoBackend

    return OpenVinoBackend(path, device=device, threads=threads, precision=FloatPrecision.BFLOAT16)


class OpenVinoIr(Backend):
    """A model in OpenVINO's own format, with its spec in a JSON file beside it."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        import openvino as ov

        assert device is Device.CPU, "OpenVINO is compared on the CPU"
        settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads)}
        self.spec = ModelSpec.from_json(path.with_suffix(".json").read_text(), where=str(path))
        self.description = f"OpenVINO {ov.__version__.split('-', 1)[0]}, default precision"
        self._request = ov.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def _run(self, image: Array) -> Array:
        return np.asarray(self._request.infer({0: image}, share_inputs=True, share_outputs=True)[0])


def nncf_model(model: Path, pictures: Sequence[Path], folder: Path, preset: str | None = None) -> Path:
    """NNCF's INT8 of an exported model, as OpenVINO's format with the spec beside it.

    Args:
        model: An exported float model.
        pictures: To calibrate on.
        folder: Where it goes.
        preset: None for NNCF's defaults, or `transformer`.
    """
    import nncf
    import openvino as ov

    spec = read_onnx_file(model)[1]
    data = nncf.Dataset(list(pictures), lambda path: fit_picture(read_image(path), spec).tensor[None])
    kind = nncf.ModelType.TRANSFORMER if preset == "transformer" else None
    made = nncf.quantize(ov.Core().read_model(model), data, subset_size=len(pictures), model_type=kind)
    target = folder / f"nncf_{preset or 'default'}_{model.stem}.xml"
    ov.save_model(made, target)
    target.with_suffix(".json").write_text(spec.to_json())
    return target


register("torch-compile", Registration("peer_backends:open_compiled", any_size=True))
register("openvino-f32", Registration("afformer.runtime.backends.openvino:OpenVinoBackend"))
register("openvino-default", Registration("peer_backends:open_openvino_default"))
register("openvino-ir", Registration("peer_backends:OpenVinoIr"))
