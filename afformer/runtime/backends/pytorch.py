"""The PyTorch reference network as a backend: a checkpoint runs wherever an exported model does."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from afformer.errors import BackendError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.runtime.backends.base import Array, Backend, check_threads
from afformer.runtime.choices import Device

DEFAULT_HW = {"camvid": (360, 480), "cityscapes": (1024, 2048)}
"""Input sizes that a checkpoint is run at when no size is given, by data set."""
OTHERWISE_HW = (512, 512)

_logger = logging.getLogger(__name__)


class PyTorchBackend(Backend):
    """A checkpoint as the unchanged reference network.

    Args:
        path: Any file that `load_checkpoint` reads.
        threads: Threads inside one operator; 0 leaves the choice to PyTorch.
        input_hw: Height and width to run at; None means the data set's usual size.
        checkpoint: What is said about the checkpoint. What nobody says and the answer depends on is logged.

    Raises:
        BackendError: PyTorch sees no CUDA device, but that is the device.
        CheckpointError: The checkpoint cannot be read.
    """

    def __init__(
        self,
        path: Path,
        device: Device = Device.CPU,
        threads: int = 0,
        input_hw: tuple[int, int] | None = None,
        checkpoint: CheckpointOptions = AS_THE_FILE_SAYS,
    ) -> None:
        if device is Device.CUDA and not torch.cuda.is_available():
            raise BackendError("this PyTorch sees no CUDA device; choose the device cpu")
        check_threads(threads)
        loaded = load_checkpoint(path, checkpoint)
        for assumption in loaded.assumptions():
            _logger.warning("%s: %s", path, assumption)
        spec = loaded.spec(input_hw or OTHERWISE_HW)
        self.spec = spec if input_hw else loaded.spec(DEFAULT_HW.get(spec.dataset, OTHERWISE_HW))
        self.description = f"PyTorch {torch.__version__} ({device.value})"
        self._network = loaded.build().to(device.value)
        self._device, self._threads = device.value, threads

    def _run(self, image: Array) -> Array:
        with torch.inference_mode(), _torch_threads(self._threads):
            logits = self._network(torch.from_numpy(np.asarray(image, np.float32)).to(self._device))
            array: Array = logits.cpu().numpy()
        return array


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Sets PyTorch's number of threads, which is one for the whole process, and restores it; 0 leaves it alone."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before)
