"""The PyTorch reference network as a backend: a checkpoint runs wherever an exported model does."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from afformer.errors import BackendError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.model.forks import is_forked
from afformer.runtime.backends.base import Array, Backend, check_threads
from afformer.runtime.choices import Device
from afformer.runtime.pool import Pool

DEFAULT_HW = {"camvid": (360, 480), "cityscapes": (1024, 2048)}
"""Input sizes that a checkpoint is run at when no size is given, by data set."""
OTHERWISE_HW = (512, 512)

_logger = logging.getLogger(__name__)


class PyTorchBackend(Backend):
    """A checkpoint as the unchanged reference network.

    Args:
        path: Any file that `load_checkpoint` reads.
        threads: Threads inside one operator; 0 leaves the choice to PyTorch. A process that was forked after PyTorch
            was loaded computes with one.
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
        # Calls that each use all cores gain nothing from running at once, but their threads wait for each other. Calls
        # of one thread each run side by side.
        self._networks = Pool(lambda: self._network, at_most=None if threads == 1 else 1)
        self._device, self._threads = device.value, threads

    def _run(self, image: Array) -> Array:
        with self._networks.lent() as network, torch.inference_mode(), _threads.set_to(self._threads):
            logits = network(torch.from_numpy(np.asarray(image, np.float32)).to(self._device))
            array: Array = logits.cpu().numpy()
        return array


class _Threads:
    """PyTorch's number of threads, which all of the process shares: set while calls run, restored after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = self._before = 0

    @contextlib.contextmanager
    def set_to(self, count: int) -> Iterator[None]:
        """Sets the number for the block; 0 leaves it alone, as does a forked process."""
        if not count or is_forked():
            yield
            return
        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
            self._users += 1
            torch.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    torch.set_num_threads(self._before)


_threads = _Threads()
