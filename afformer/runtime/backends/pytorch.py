"""The PyTorch reference behind the backend interface: checkpoints are evaluated and compared like artifacts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from afformer.errors import BackendError
from afformer.model.checkpoint import load_checkpoint
from afformer.runtime.backends.base import Array, Backend, Device, check_threads

DEFAULT_HW = {"camvid": (360, 480), "cityscapes": (1024, 2048)}
"""Input sizes that a checkpoint is run at when no size is given, by data set."""
OTHERWISE_HW = (512, 512)


class PyTorchBackend(Backend):
    """A checkpoint as the unchanged reference network.

    Args:
        path: Any file that `load_checkpoint` reads.
        device: Where to run.
        threads: Threads of an operator, 0 for PyTorch's default.
        input_hw: Height and width to run at; None takes the data set's usual size.
    """

    def __init__(
        self, path: Path, device: Device = Device.CPU, threads: int = 0, input_hw: tuple[int, int] | None = None
    ) -> None:
        if device is Device.CUDA and not torch.cuda.is_available():
            raise BackendError("device cuda was asked for, but this PyTorch sees no CUDA device; use --device cpu")
        check_threads(threads)
        if threads:
            torch.set_num_threads(threads)
        checkpoint = load_checkpoint(path)
        spec = checkpoint.spec(input_hw or OTHERWISE_HW)
        self.spec = spec if input_hw else checkpoint.spec(DEFAULT_HW.get(spec.dataset, OTHERWISE_HW))
        self.description = f"PyTorch {torch.__version__} ({device.value})"
        self._network = checkpoint.build().to(device.value)
        self._device = device.value

    def _run(self, image: Array) -> Array:
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(np.asarray(image, np.float32)).to(self._device))
        array: Array = logits.cpu().numpy()
        return array
