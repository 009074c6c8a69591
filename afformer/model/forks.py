"""PyTorch in forked processes.

GNU's OpenMP keeps a pool of threads for the thread that uses it. A forked child inherits the pool's data, but none of
its threads, and waits for them forever at the first operator that is split among threads. With one thread nothing is
split; PyTorch's own data loaders do the same in their workers.
"""

from __future__ import annotations

import os

import torch

_forked = False


def is_forked() -> bool:
    """Whether this process was forked after PyTorch was loaded here, and so must compute with one thread."""
    return _forked


def _compute_with_one_thread() -> None:
    global _forked  # noqa: PLW0603 - as PyTorch's number of threads is
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_compute_with_one_thread)
