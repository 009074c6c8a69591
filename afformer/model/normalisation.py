"""How pictures are normalised before a network sees them, and where that is stated.

Whoever is asked first and answers is believed, for mean and std together and for the order of the channels:

1. the caller;
2. our own metadata (`mean`, `std`, `color_order`);
3. buffers beside the weights (`data_preprocessor.mean`, which is what mmengine computed with);
4. the configuration of the training (`data_preprocessor`, `Normalize` of a pipeline, `img_norm_cfg`, anything else),
   and whatever else the file holds beside its weights;
5. nobody: ImageNet's, RGB, which is then said to be an assumption.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afformer.errors import CheckpointError
from afformer.model.choices import CheckpointOptions
from afformer.model.claims import Claim, claims_in, stated_order
from afformer.model.config_text import Config
from afformer.model.reading.tensors import StoredTensor
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, Channels, ColorOrder


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """What is done to a picture of 0..255: `(picture - mean) / std`, channels in `order`.

    Attributes:
        mean: By channel, in `order`.
        std: By channel, in `order`.
        order: Of the network's input channels.
        origin: Who says so, for people.
        assumed: Whether nobody said what mean and std are, or in which order the channels come.
    """

    mean: Channels
    std: Channels
    order: ColorOrder
    origin: str
    assumed: bool

    def sentence(self) -> str:
        """Values and origin as text."""
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.order.name}, mean {mean}, std {std} ({self.origin})"


def normalisation_of(
    own: Mapping[str, Any], tensors: Mapping[str, StoredTensor], config: Config, options: CheckpointOptions, path: Path
) -> Normalisation:
    """Finds mean, std and channel order.

    Args:
        own: Our own metadata, keys in lower case.
        tensors: All tensors of the file by name, those beside the network first.
        config: What the file says of its training.
        options: What the caller says.
        path: The file, for errors.

    Raises:
        CheckpointError: What the file says cannot be used, or has two meanings.
    """
    claims, unread = claims_in(own, tensors, config, path)
    found = claims[0] if claims else None
    if options.mean is None or options.std is None:
        _require_plain(found, path)
    orders = [(claim.order, claim.where) for claim in claims if claim.order]
    if not orders and (stated := stated_order(config)):
        orders = [stated]
    order, order_from = orders[0] if orders else (ColorOrder.RGB, "")
    order = options.channel_order or order
    mean, std, notes = _values(found, order)
    if found is None and options.mean and options.std:
        notes = []
    notes += _contradicted(claims)
    mean, std, said = _overridden(mean, std, options)
    notes += said
    if options.channel_order:
        told = f", the file's {order_from} says {orders[0][0].name}" if orders and orders[0][0] is not order else ""
        notes.append(f"`channel_order` says {order.name}{told}")
    elif not orders:
        notes.append("RGB is assumed, `channel_order` says otherwise")
    notes += [f"{place} cannot be read" for place in (*config.unread, *unread)]
    values_assumed = found is None and (options.mean is None or options.std is None)
    assumed = values_assumed or not (orders or options.channel_order)
    return Normalisation(mean, std, order, "; ".join(notes), assumed)


def _values(found: Claim | None, order: ColorOrder) -> tuple[Channels, Channels, list[str]]:
    if found is None:
        step = 1 if order is ColorOrder.RGB else -1
        note = "assumed, the checkpoint does not say: ImageNet's; `mean` and `std` say otherwise"
        return IMAGENET_MEAN[::step], IMAGENET_STD[::step], [note]  # type: ignore[return-value]
    if found.scale or _of_unit_scale(found):
        scale = found.scale or 255
        note = f"from {found.where}" + (f", which has them for pictures of 0..1, times {scale:g}" if scale != 1 else "")
        return _times(found.mean, scale), _times(found.std, scale), [note]
    return found.mean, found.std, [f"from {found.where}"]


def _overridden(mean: Channels, std: Channels, options: CheckpointOptions) -> tuple[Channels, Channels, list[str]]:
    """What the caller says, also for pictures of 0..1, as torchvision has it."""
    given = {"mean": options.mean, "std": options.std}
    named = [name for name, values in given.items() if values is not None]
    if not named:
        return mean, std, []
    note = f"`{'` and `'.join(named)}` {'are' if len(named) > 1 else 'is'} given"
    if options.mean and options.std and _fits_unit(options.mean, options.std) and max(options.mean) > 0:
        return _times(options.mean, 255), _times(options.std, 255), [f"{note} for pictures of 0..1, times 255"]
    return options.mean or mean, options.std or std, [note]


def _contradicted(claims: list[Claim]) -> list[str]:
    if not claims:
        return []
    first = _values(claims[0], ColorOrder.RGB)[:2]
    for claim in claims[1:]:
        if not all(
            np.allclose(a, b, rtol=1e-3) for a, b in zip(_values(claim, ColorOrder.RGB)[:2], first, strict=True)
        ):
            mean = ", ".join(f"{value:g}" for value in claim.mean)
            return [f"{claim.where} says otherwise: mean {mean}"]
    return []


def _require_plain(found: Claim | None, path: Path) -> None:
    if found is None:
        return
    if min(found.std) <= 0:
        raise CheckpointError(
            f"{path}: its normalisation, mean {found.mean!r} and std {found.std!r} from {found.where}, must be three "
            "numbers each, std above 0; say `mean` and `std`"
        )
    if not found.plain and not found.scale and max(map(abs, found.mean)) == 0 and max(found.std) <= 1:
        raise CheckpointError(
            f"{path}: {found.where} says mean {found.mean} and std {found.std}, which may mean pictures of 0..1 or of "
            "0..255; say `mean` and `std` for 0..255"
        )


def _of_unit_scale(claim: Claim) -> bool:
    return max(claim.mean) > 0 and _fits_unit(claim.mean, claim.std)


def _fits_unit(mean: Channels, std: Channels) -> bool:
    return min(mean) >= 0 and max(mean) <= 1 and max(std) <= 1


def _times(values: Channels, scale: float) -> Channels:
    return (round(scale * values[0], 6), round(scale * values[1], 6), round(scale * values[2], 6))
