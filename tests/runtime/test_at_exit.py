"""Programs that end while a model is open. Each is a process of its own."""

from __future__ import annotations

import subprocess
import sys

ENDS = """
import threading
import numpy as np
from afformer import assets
from afformer.runtime import Segmenter

segment, started = Segmenter(assets.MODEL), threading.Event()

def work():
    while True:
        segment(np.zeros((300, 400, 3), np.uint8))
        started.set()

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
started.wait()
print("ended")
"""

AT_EXIT = """
import atexit
import numpy as np
from afformer import assets
from afformer.runtime import Segmenter

atexit.register(lambda: print(Segmenter(assets.MODEL)(np.zeros((30, 40, 3), np.uint8)).shape))
import afformer.runtime.segmenter
"""


def _run(program: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_daemon_thread_that_segments_at_the_end_does_not_abort_the_process() -> None:
    assert _run(ENDS) == (0, "ended\n")


def test_a_program_may_segment_while_it_ends() -> None:
    assert _run(AT_EXIT) == (0, "(30, 40)\n")
