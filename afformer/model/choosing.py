"""Which of the networks in a checkpoint file is meant."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from afformer.errors import CheckpointError
from afformer.model.choices import Weights
from afformer.model.networks import MMCV_AVERAGE, Network
from afformer.model.reading.faults import printable

_USUAL = ("state_dict", "model", "model_state_dict", "module", "network", "net", "student")


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The network that is meant, and a sentence on how that was decided."""

    network: Network
    origin: str


def choose(networks: list[Network], weights: Weights, path: Path, nameless: list[str]) -> Chosen:
    """Decides between the networks of a file.

    Args:
        networks: As `networks_in` found them.
        weights: Which weights are wanted.
        path: The file, for errors.
        nameless: Places of averages that cannot be taken.

    Raises:
        CheckpointError: What was asked for is not there, or nothing tells which one is meant.
    """
    whole = [network for network in networks if network.has_head] or networks
    averages = [network for network in whole if network.averaged]
    teachers = [network for network in whole if network.teacher]
    raw = [network for network in whole if not network.averaged and not network.teacher]
    pools = {
        Weights.AUTO: averages or raw or teachers,
        Weights.EMA: averages or teachers,
        Weights.RAW: raw,
    }
    pool = sorted(pools[weights], key=_rank)
    if not pool:
        wanted = "moving average" if weights is Weights.EMA else "raw weights"
        if weights is Weights.EMA and nameless:
            wanted = f"moving average with names (its tensors under {printable(nameless[0])} have none)"
        raise CheckpointError(f"{path}: holds no {wanted}, only {_all(whole)}; choose `weights=auto`")
    if len(pool) > 1 and _rank(pool[0]) == _rank(pool[1]):
        raise CheckpointError(
            f"{path}: holds several networks and nothing tells which one is meant: {_all(pool)}; save one of them alone"
        )
    origin = _origin(pool[0], whole, weights)
    if nameless and not averages:
        origin += f"; the moving average under {printable(nameless[0])} has no names and cannot be taken"
    return Chosen(pool[0], origin)


def _origin(chosen: Network, whole: list[Network], weights: Weights) -> str:
    others = [network for network in whole if network is not chosen]
    alone = not others and not chosen.averaged and not chosen.teacher
    text = chosen.place() if alone else f"{chosen.kind} {chosen.place()}"
    if weights is not Weights.AUTO:
        text += f", as `weights={weights.value}` says"
    if others:
        remedy = Weights.RAW if chosen.averaged else Weights.EMA
        text += f"; not taken: {_all(others)}"
        if weights is Weights.AUTO and any(other.averaged != chosen.averaged or other.teacher for other in others):
            text += f" (`weights={remedy.value}`)"
    outside = sorted(
        {name.split(".")[0] for name in chosen.beside if not name.startswith(MMCV_AVERAGE)} - {"optimizer"}
    )
    if outside:
        text += f"; left out: {', '.join(map(printable, outside[:8]))}"
    return text


def _rank(network: Network) -> tuple[int, int]:
    """The usual places first, then the shallower ones."""
    words = network.where.split(".") if network.where else []
    places = [_USUAL.index(word) for word in words if word in _USUAL]
    return (min(places) if places else len(_USUAL) if words else 0, len(words))


def _all(networks: list[Network]) -> str:
    return ", ".join(f"{network.kind} {network.place()}" for network in networks[:6])
