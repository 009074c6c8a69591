"""Programs that end while a model is open. Each is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

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

FREED = """
import threading, time
import numpy as np
from afformer.runtime import Segmenter
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC

freeing = threading.Event()

class Memory(bytearray):
    def __del__(self):  # as slow as native code may be
        freeing.set()
        time.sleep(0.2)
        print("freed", flush=True)

def answer(image):
    shape = (1, SPEC.num_classes, *SPEC.logits_hw)
    return np.frombuffer(Memory(4 * int(np.prod(shape))), np.float32).reshape(shape)

segment = Segmenter(FakeBackend(SPEC, answer))
threading.Thread(target=lambda: segment(np.zeros((30, 40, 3), np.uint8)), daemon=True).start()
freeing.wait()
"""


def _run(program: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_daemon_thread_that_segments_at_the_end_does_not_abort_the_process() -> None:
    assert _run(ENDS) == (0, "ended\n")


def test_a_program_may_segment_while_it_ends() -> None:
    assert _run(AT_EXIT) == (0, "(30, 40)\n")


def test_the_end_waits_until_what_the_engine_gave_is_freed() -> None:
    assert _run(FREED) == (0, "freed\n")
