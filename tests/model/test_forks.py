"""Programs that fork while a model is open. Each is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORKS = """
import os
import numpy as np
from afformer import assets
from afformer.runtime import Segmenter, open_backend

segment = Segmenter(open_backend({model}, threads={threads}))
picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
expected = segment(picture)
if (child := os.fork()) == 0:
    os._exit(0 if (segment(picture) == expected).mean() > 0.999 else 1)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def _run(program: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [0, 2])
def test_a_checkpoint_that_was_opened_before_a_fork_works_in_the_child(threads: int) -> None:
    pytest.importorskip("torch")
    assert _run(FORKS.format(model="assets.CHECKPOINT", threads=threads)) == (0, "child 0\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_model_that_was_opened_before_a_fork_works_in_the_child() -> None:
    assert _run(FORKS.format(model="assets.MODEL", threads=2)) == (0, "child 0\n")
