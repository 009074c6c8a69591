"""The JSON beside an engine, and whether the engine it describes runs here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from afformer.spec import Precision
from afformer.tensorrt.compatibility import check_compatible
from afformer.tensorrt.engine_info import EngineInfo
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.builders.tiny_onnx import SPEC
from tests.fuzz.json_changes import changed
from tests.fuzz.targets import Target

_ORIN = Gpu("Orin", (8, 7))
_SPEC = dataclasses.replace(SPEC, precision=Precision.FP16)
_GOOD = EngineInfo(_SPEC, "ab" * 32, Library.TENSORRT, "10.3.0", "12.6", _ORIN, "model.onnx", "cd" * 32)


def _run(path: Path) -> None:
    info = EngineInfo.beside(path.with_suffix(""))
    assert EngineInfo.from_json(info.to_json(), "again") == info
    str(info.rebuild_command("a.engine")).encode()
    check_compatible(info, path, "10.3.0", _ORIN)


def _seeds() -> list[bytes]:
    for_any = dataclasses.replace(_GOOD, gpu=None, library=Library.TENSORRT_RTX, version_compatible=True)
    good = [info.to_json().encode() for info in (_GOOD, for_any)]
    return [
        *good,
        b"[" * 100_000,
        good[0].replace(b"10.3.0", b"x"),
        good[0].replace(b'"8.7"', b'"8.7.6"'),
        good[0].replace(b"Orin", rb"O\n"),
    ]


TARGET = Target(_run, _seeds, changed, ("afformer.tensorrt", "afformer.spec"), ".json")
