"""A network that was pickled whole -> its tensors by name, as its `state_dict()` would give them."""

from __future__ import annotations

from typing import Any

from afformer.model.reading.faults import Budget, RefusalError
from afformer.model.reading.objects import Placeholder
from afformer.model.reading.tensors import StoredTensor

_DEEPEST = 50
_STEPS_PER_MODULE = 100


def is_module(found: Any) -> bool:
    """Whether an object has what a `torch.nn.Module` has."""
    state = found.state if isinstance(found, Placeholder) else None
    return isinstance(state, dict) and isinstance(state.get("_modules"), dict) and "_parameters" in state


def module_state(module: Placeholder, budget: Budget) -> dict[str, StoredTensor]:
    """The parameters and buffers of a module and those below it.

    Raises:
        RefusalError: It nests endlessly.
    """
    found: dict[str, StoredTensor] = {}
    waiting = [("", module, 0)]
    while waiting:
        prefix, part, depth = waiting.pop()
        if depth > _DEEPEST:
            raise RefusalError("a pickled network whose modules contain each other; save its state_dict() instead")
        left_out = set(_texts(part.state.get("_non_persistent_buffers_set"), budget))
        for kind in ("_parameters", "_buffers"):
            for name, value in _items(part.state.get(kind), budget):
                if isinstance(value, StoredTensor) and name not in left_out:
                    budget.copy(len(prefix) + len(name))
                    found[prefix + name] = value
        for name, below in reversed(_items(part.state.get("_modules"), budget)):
            if is_module(below):
                budget.copy(len(prefix) + len(name))
                waiting.append((f"{prefix}{name}.", below, depth + 1))
    return found


def _items(found: Any, budget: Budget) -> list[tuple[str, Any]]:
    if not isinstance(found, dict):
        return []
    budget.step(_STEPS_PER_MODULE + len(found))
    return [(name, value) for name, value in found.items() if isinstance(name, str)]


def _texts(found: Any, budget: Budget) -> list[str]:
    if not isinstance(found, list):
        return []
    budget.step(len(found))
    return [name for name in found if isinstance(name, str)]
