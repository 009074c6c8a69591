from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from afformer.errors import BackendError
from afformer.measure.operator_profile import has_profile, operator_times
from afformer.runtime.choices import Device
from afformer.runtime.opening import OpenOptions
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

FEED = np.zeros((1, 3, *SPEC.input_hw), np.float32)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_every_operator_is_timed_the_slowest_first(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    operators = operator_times(write_tiny_onnx(tmp_path / "tiny.onnx"), FEED, OpenOptions(backend, threads=1), calls=3)
    seconds = [operator.seconds for operator in operators]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < seconds[0] < 1
    assert any("conv" in operator.kind.lower() for operator in operators)
    assert len({operator.name for operator in operators}) == len(operators)


def test_a_profile_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    operator_times(write_tiny_onnx(tmp_path / "tiny.onnx"), FEED, calls=1)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_a_profile_that_a_full_disk_has_cut_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = onnxruntime.InferenceSession.end_profiling

    def cut(session: onnxruntime.InferenceSession) -> str:
        path = Path(whole(session))
        path.write_bytes(path.read_bytes()[:-100])
        return str(path)

    monkeypatch.setattr(onnxruntime.InferenceSession, "end_profiling", cut)
    with pytest.raises(
        BackendError, match=r"wrote no whole profile into .*is the disk full\? make room, or set TMPDIR"
    ):
        operator_times(write_tiny_onnx(tmp_path / "tiny.onnx"), FEED, calls=1)


def test_a_backend_without_a_profile_says_so(tmp_path: Path) -> None:
    assert not has_profile("pytorch", Device.CPU)
    assert not has_profile("onnxruntime", Device.CUDA)
    with pytest.raises(BackendError, match="pytorch on cpu does not measure single operators; onnxruntime and"):
        operator_times(tmp_path / "some.pth", FEED)
