from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from afformer.errors import SpecError
from afformer.spec import ModelSpec, Precision
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.builders.tiny_onnx import SPEC

ORIN = Gpu("Orin", (8, 7))
FILE = EngineInfo(
    spec=dataclasses.replace(SPEC, precision=Precision.FP16),
    engine_sha256="ab" * 32,
    library=Library.TENSORRT,
    version="10.3.0",
    cuda="12.6",
    gpu=ORIN,
    source="model.onnx",
    source_sha256="cd" * 32,
    version_compatible=True,
)


@pytest.mark.parametrize(
    "file", [FILE, dataclasses.replace(FILE, gpu=None, cuda="", library=Library.TENSORRT_RTX, hardware_compatible=True)]
)
def test_what_is_written_is_read_again(file: EngineInfo) -> None:
    assert EngineInfo.from_json(file.to_json(), "here") == file


def test_other_readers_find_the_spec_as_it_stands_in_the_onnx() -> None:
    fields = json.loads(FILE.to_json())
    assert ModelSpec.from_json(json.dumps(fields["spec"])) == FILE.spec
    assert fields["precision"] == "fp16"
    assert fields["gpu"] == {"name": "Orin", "compute_capability": "8.7"}


def test_it_lies_beside_its_plan(tmp_path: Path) -> None:
    plan = tmp_path / "model.engine"
    assert json_path(plan) == tmp_path / "model.engine.json"
    json_path(plan).write_text(FILE.to_json())
    assert EngineInfo.beside(plan) == FILE


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff\xfe", b'{"engine_version": 1}', b"[" * 100_000])
def test_what_cannot_be_read_is_one_line_that_says_where_and_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        json_path(tmp_path / "model.engine").write_bytes(content)
    with pytest.raises(SpecError, match=r"model\.engine\.json: cannot be read .*(build|engine again)") as caught:
        EngineInfo.beside(tmp_path / "model.engine")
    assert "\n" not in str(caught.value)


def test_a_later_format_asks_for_a_later_version() -> None:
    later = FILE.to_json().replace('"engine_version": 1', '"engine_version": 2')
    with pytest.raises(SpecError, match=r"here: engine format 2, but this version reads format 1"):
        EngineInfo.from_json(later, "here")


def test_a_capability_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="here: cannot be read"):
        EngineInfo.from_json(FILE.to_json().replace('"8.7"', '"8.7.1"'), "here")


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, ["--precision", "fp16"]),
        ({"source": "the driver's model; rm.onnx"}, ["--precision", "fp16"]),
        ({"spec": SPEC, "library": Library.TENSORRT_RTX}, ["--precision", "fp32", "--rtx"]),
    ],
)
def test_the_line_that_builds_it_again_is_whole_and_fit_for_a_shell(
    changes: dict[str, Any], options: list[str]
) -> None:
    file = dataclasses.replace(FILE, **changes)
    line = file.rebuild_command("my model.engine")
    assert shlex.split(line) == ["afformer-cli", "engine", file.source, "-o", "my model.engine", *options]
