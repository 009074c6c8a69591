from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from afformer.measure.machine import Machine

_X86 = "model name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2 avx512_vnni sse\n\nmodel name\t: the second core\n"
_ARM = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd asimddp crc32\nCPU part\t: 0xd0b\n"


def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, info: str, board: str = "") -> Machine:
    (tmp_path / "cpuinfo").write_text(info)
    if board:
        (tmp_path / "model").write_text(board)
    monkeypatch.setattr("afformer.measure.machine._CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("afformer.measure.machine._BOARD", tmp_path / "model")
    return Machine.here()


def test_an_x86_machine_names_its_cpu_and_the_features_that_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = _machine(monkeypatch, tmp_path, _X86)
    assert (machine.board, machine.cpu, machine.flags) == ("", "Some CPU @ 3 GHz", ("avx2", "avx512_vnni"))


def test_an_arm_board_names_itself_and_its_dot_products(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = _machine(monkeypatch, tmp_path, _ARM, "Raspberry Pi 5 Model B\0")
    assert (machine.board, machine.flags) == ("Raspberry Pi 5 Model B", ("asimd", "asimddp"))
    assert machine.to_text().startswith("Raspberry Pi 5 Model B, ")


def test_a_system_without_cpuinfo_still_has_a_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("afformer.measure.machine._CPUINFO", tmp_path / "nowhere")
    machine = Machine.here()
    assert machine.cpu
    assert machine.flags == ()
    assert "no known features" in machine.to_text()


def test_versions_are_those_of_what_is_installed() -> None:
    machine = Machine.here()
    assert machine.packages["numpy"] == np.__version__
    assert "onnxruntime" in machine.to_text()
    assert machine.cores >= 1
    assert json.loads(json.dumps(machine.to_json()))["packages"] == machine.packages
