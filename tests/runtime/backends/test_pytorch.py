from __future__ import annotations

import numpy as np
import pytest

from afformer import assets
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.backends.registry import open_backend

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_a_run_and_not_of_the_process(threads: int) -> None:
    before, seen = torch.get_num_threads(), set[int]()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    with hook, open_backend(assets.CHECKPOINT, threads=threads, input_hw=(64, 96)) as backend:
        assert torch.get_num_threads() == before
        _, shape, dtype = input_tensor(backend.spec)
        backend.run(np.zeros(shape, dtype))
    assert seen == {threads}
    assert torch.get_num_threads() == before
