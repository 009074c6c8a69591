"""Changes to JSON that keep it JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.fuzz.mutations import mutated

_STRANGE: tuple[Any, ...] = (
    *(None, True, [], {}, "", "\ud800", "a\nb", "\0", "x" * 5000, "9" * 5000, "10.3", "-1", "inf", "nan"),
    *(0, -1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, float("inf"), float("nan"), [[0] * 3] * 3, {"a": 1}),
)
_DEEP = 100_000


def changed(data: bytes, chance: random.Random) -> bytes:
    """A value somewhere becomes a strange one, goes, or is nested deeply; bytes that are no JSON change anyhow."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return mutated(data, chance)
    for _ in range(chance.randint(1, 3)):
        content = _with_change(content, chance)
    text = json.dumps(content)
    if chance.random() < 0.05:
        text = text.replace(chance.choice(("0", "1", '"')), "[" * _DEEP, 1)
    return text.encode()


def _with_change(content: Any, chance: random.Random) -> Any:
    if not isinstance(content, (dict, list)) or not content or chance.random() < 0.1:
        return copy.deepcopy(chance.choice(_STRANGE))
    key = chance.choice(list(content)) if isinstance(content, dict) else chance.randrange(len(content))
    if chance.random() < 0.05:
        del content[key]
    else:
        content[key] = _with_change(content[key], chance)
    return content
