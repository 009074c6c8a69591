"""The reader of checkpoint files, and what makes a network of them."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from afformer.errors import AfformerError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.files import open_checkpoint_file
from afformer.model.network import AFFormer, AFFormerConfig
from afformer.model.reading.tensors import StoredTensor
from tests.builders import hostile
from tests.builders.checkpoint_files import old_tar
from tests.builders.networks import official_state
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target

_LARGEST_SEED = 80_000


def _run(path: Path) -> None:
    with contextlib.suppress(AfformerError), open_checkpoint_file(path) as (content, _):
        _read(content)
    load_checkpoint(path)


def _read(content: Any) -> None:
    """Every tensor that a user of the file could ask for."""
    if isinstance(content, StoredTensor) and not content.problem:
        assert tuple(content.weights().shape) == content.shape
    if isinstance(content, Mapping):
        for value in content.values():
            for found in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(found, StoredTensor) and not found.problem:
                    assert tuple(found.weights().shape) == found.shape


def _saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _seeds() -> list[bytes]:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    state = {"a": whole, "b": whole[1, 1:, 2], "c": torch.tensor(2.5)}
    content = {
        "meta": {"CLASSES": ("road", "car"), "PALETTE": [[1, 2, 3], [4, 5, 6]], "time": np.float64(1.5)},
        "state_dict": state | {"half": whole.half(), "bf16": whole.bfloat16(), "p": nn.Parameter(torch.ones(2))},
        "message_hub": {"history": np.arange(6).reshape(2, 3), 3: {1, 2}, (1, 2): b"\xff"},
    }
    with torch.device("meta"):
        names = official_state(AFFormer(AFFormerConfig.tiny(), 2))
    return [
        *(_saved(content, pickle_protocol=protocol) for protocol in (1, 2, 4, 5)),
        _saved(content, _use_new_zipfile_serialization=False),
        _saved(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))),
        _saved({"state_dict": {name: torch.zeros(1) for name in names if "stages.0" in name or "head" in name}}),
        old_tar(state),
        safetensors.torch.save({"a": whole, "b": torch.ones(2).half()}, {"classes": '["road"]'}),
        *(content for content in hostile.small().values() if len(content) < _LARGEST_SEED),
    ]


def _inside(data: bytes, chance: random.Random) -> bytes:
    """Changes the pickle of an archive and keeps the archive around it whole; and changes other files anywhere."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = {entry.filename: file.read(entry) for entry in file.infolist()}
    except Exception:  # whatever it is, it is no archive that can be written anew
        return mutated(data, chance)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, mutated(content, chance) if name.endswith(".pkl") else content)
    return buffer.getvalue()


TARGET = Target(_run, _seeds, _inside, ("afformer.model",), ".pth")
