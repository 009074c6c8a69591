"""Bodies that a server gets: tensors of the V2 protocol, and pictures."""

from __future__ import annotations

import json
import random
from pathlib import Path

from afformer.errors import AfformerError
from afformer.serve.options import Limits
from afformer.serve.pictures import decode, picture_size
from afformer.serve.refusal import Refusal
from afformer.serve.tensors import parse_inference
from tests.builders.tiny_onnx import SPEC
from tests.fuzz import pictures
from tests.fuzz.json_changes import changed
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target


def _run(path: Path) -> None:
    data = path.read_bytes()
    head = data.find(b"}\n") + 1
    try:
        if head:
            parse_inference(data, str(head), SPEC, "tiny")
        elif data.startswith(b"{"):
            parse_inference(data, None, SPEC, "tiny")
        else:
            decode(data, picture_size(data, Limits()))
    except Refusal as error:
        raise AfformerError(repr(str(error))) from error  # as the JSON of the answer quotes it


def _seeds() -> list[bytes]:
    height, width = SPEC.input_hw
    shape = [1, 3, height, width]
    tensor = {"name": "image", "datatype": "FP32", "shape": shape}
    count = 3 * height * width
    plain = json.dumps({"id": "1", "inputs": [{**tensor, "data": [0.5] * count}]}).encode()
    parameters = {"parameters": {"binary_data_size": 4 * count}}
    binary = json.dumps({"inputs": [{**tensor, **parameters}], "outputs": [{"name": "logits"}]}).encode()
    small = json.dumps({"inputs": [{**tensor, "data": [[1, 2], [3]]}]}).encode()
    booleans = plain.replace(b'"shape": [1,', b'"shape": [true,')
    return [plain, small, booleans, binary + b"\n" + bytes(4 * count), *pictures.TARGET.seeds()]


def _inside(data: bytes, chance: random.Random) -> bytes:
    head = data.find(b"}\n") + 1
    if head:
        return changed(data[:head], chance) + data[head:]
    return changed(data, chance) if data.startswith(b"{") else mutated(data, chance)


TARGET = Target(_run, _seeds, _inside, ("afformer.serve",), ".body")
