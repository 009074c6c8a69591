"""How pictures are normalised before a network sees them, and who says so.

Whoever is asked first and answers is believed, for mean and std together and for the order of the channels:

1. the caller;
2. our own metadata (`mean`, `std`, `color_order`);
3. buffers beside the weights (`data_preprocessor.mean`, which is what mmengine computed with);
4. the configuration of the training (`data_preprocessor`, `Normalize` of a pipeline, `img_norm_cfg`, anything else);
5. nobody: ImageNet's, RGB, which is then said to be an assumption.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afformer.errors import CheckpointError
from afformer.model.choices import CheckpointOptions
from afformer.model.config_text import Config, Entry, entries
from afformer.model.reading.faults import printable
from afformer.model.reading.numpy_values import NumpyArray
from afformer.model.reading.tensors import StoredTensor
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, Channels, ColorOrder

_BUFFER = re.compile(
    r"(?:.*\.)?(?P<kind>(?:data_preprocessor\.|pixel_|img_|image_|norm_|normalizer\.|normalize\.)?)mean"
)
_LARGEST = 1e9


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
        """Values and origin, for people."""
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.order.name}, mean {mean}, std {std} ({self.origin})"


@dataclasses.dataclass(frozen=True)
class _Claim:
    """What one place says; `mmcv` means that its numbers belong to pictures of 0..255 for certain."""

    where: str
    mean: Channels
    std: Channels
    order: ColorOrder | None
    mmcv: bool


def normalisation_of(
    own: Mapping[str, Any], beside: Mapping[str, StoredTensor], config: Config, options: CheckpointOptions, path: Path
) -> Normalisation:
    """Finds mean, std and channel order.

    Args:
        own: Our own metadata, keys in lower case.
        beside: Tensors that lie beside the network's, by name.
        config: What the file says of its training.
        options: What the caller says.
        path: The file, for errors.

    Raises:
        CheckpointError: What the file says cannot be used, or has two meanings.
    """
    claims = [*_own(own, path), *_buffers(beside), *_from_config(config)]
    found = claims[0] if claims else None
    if options.mean is None or options.std is None:
        _require_plain(found, path)
    orders = [(claim.order, claim.where) for claim in claims if claim.order]
    order, order_from = orders[0] if orders else (ColorOrder.RGB, "")
    order = options.channel_order or order
    mean, std, notes = _values(found, order)
    notes += _contradicted(claims)
    mean, std, said = _overridden(mean, std, options)
    notes += said
    if options.channel_order:
        told = f", the file's {order_from} says {orders[0][0].name}" if orders and orders[0][0] is not order else ""
        notes.append(f"`channel_order` says {order.name}{told}")
    elif not orders:
        notes.append("RGB is assumed, `channel_order` says otherwise")
    notes += [f"{place} cannot be read" for place in config.unread]
    values_assumed = found is None and (options.mean is None or options.std is None)
    assumed = values_assumed or not (orders or options.channel_order)
    return Normalisation(mean, std, order, "; ".join(notes), assumed)


def _values(found: _Claim | None, order: ColorOrder) -> tuple[Channels, Channels, list[str]]:
    if found is None:
        step = 1 if order is ColorOrder.RGB else -1
        note = "assumed, the checkpoint does not say: ImageNet's; `mean` and `std` say otherwise"
        return IMAGENET_MEAN[::step], IMAGENET_STD[::step], [note]  # type: ignore[return-value]
    if _of_unit_scale(found):
        note = f"from {found.where}, which has them for pictures of 0..1, times 255"
        return _times_255(found.mean), _times_255(found.std), [note]
    return found.mean, found.std, [f"from {found.where}"]


def _overridden(mean: Channels, std: Channels, options: CheckpointOptions) -> tuple[Channels, Channels, list[str]]:
    """What the caller says, also for pictures of 0..1, as torchvision has it."""
    given = {"mean": options.mean, "std": options.std}
    named = [name for name, values in given.items() if values is not None]
    if not named:
        return mean, std, []
    note = f"`{'` and `'.join(named)}` {'are' if len(named) > 1 else 'is'} given"
    if options.mean and options.std and _fits_unit(options.mean, options.std) and max(options.mean) > 0:
        return _times_255(options.mean), _times_255(options.std), [f"{note} for pictures of 0..1, times 255"]
    return options.mean or mean, options.std or std, [note]


def _contradicted(claims: list[_Claim]) -> list[str]:
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


def _require_plain(found: _Claim | None, path: Path) -> None:
    if found is None:
        return
    if min(found.std) <= 0:
        raise CheckpointError(
            f"{path}: its normalisation, mean {found.mean!r} and std {found.std!r} from {found.where}, must be three "
            "numbers each, std above 0; say `mean` and `std`"
        )
    if not found.mmcv and max(map(abs, found.mean)) == 0 and max(found.std) <= 1:
        raise CheckpointError(
            f"{path}: {found.where} says mean {found.mean} and std {found.std}, which may mean pictures of 0..1 or of "
            "0..255; say `mean` and `std` for 0..255"
        )


def _own(own: Mapping[str, Any], path: Path) -> Iterator[_Claim]:
    if "mean" not in own and "std" not in own:
        return
    mean, std = channels(own.get("mean")), channels(own.get("std"))
    if mean is None or std is None or min(std) <= 0:
        found = f"mean {_shown(own.get('mean'))} and std {_shown(own.get('std'))}"
        raise CheckpointError(
            f"{path}: its normalisation, {found}, must be three numbers each, std above 0; save it again, or say "
            "`mean` and `std`"
        )
    yield _Claim("the file's metadata", mean, std, order_in(own), True)


def _buffers(beside: Mapping[str, StoredTensor]) -> Iterator[_Claim]:
    for name, tensor in beside.items():
        match = _BUFFER.fullmatch(name)
        other = beside.get(f"{name.removesuffix('mean')}std")
        if match and other is not None and math.prod(tensor.shape) == math.prod(other.shape) == 3:
            mean, std = ([float(v) for v in t.weights().flatten()] for t in (tensor, other))
            yield _Claim(
                f"the buffer {printable(name)}",
                channels(mean) or (0, 0, 0),
                channels(std) or (0, 0, 0),
                None,
                "data_preprocessor" in name,
            )


def _from_config(config: Config) -> list[_Claim]:
    ranked = []
    for place, found in config.found.items():
        for entry in entries(found):
            mean, std = channels(entry.values.get("mean")), channels(entry.values.get("std"))
            if mean and std:
                rank = _rank(entry)
                where = printable(".".join(entry.path)) or "mean and std"
                ranked.append((rank, _Claim(f"{where} in {place}", mean, std, _order(entry), rank < 4)))
    return [claim for _, claim in sorted(ranked, key=lambda pair: pair[0])]


def _rank(entry: Entry) -> int:
    kind = str(entry.values.get("type", ""))
    if "data_preprocessor" in entry.path or "PreProcessor" in kind:
        return 0
    if kind.endswith("Normalize"):
        return 1 if any(word in key for key in entry.path for word in ("test", "val")) else 2
    return 3 if "img_norm_cfg" in entry.path else 4


def _order(entry: Entry) -> ColorOrder | None:
    """Where a trainer's own default applies, it is as good as said: mmcv reads BGR, `Normalize` makes RGB of it."""
    said = order_in(entry.values)
    rank = _rank(entry)
    if said or rank == 4:
        return said
    return ColorOrder.BGR if rank == 0 else ColorOrder.RGB


def order_in(values: Mapping[str, Any]) -> ColorOrder | None:
    """The channel order that a dictionary states, in the words of the trainers."""
    for key in ("color_order", "channel_order", "input_format"):
        if str(values.get(key)).lower() in ("rgb", "bgr"):
            return ColorOrder(str(values[key]).lower())
    if values.get("rgb_to_bgr"):
        return ColorOrder.BGR
    for key in ("bgr_to_rgb", "to_rgb"):
        if isinstance(values.get(key), (bool, int)):
            return ColorOrder.RGB if values[key] else ColorOrder.BGR
    return None


def channels(values: Any) -> Channels | None:
    """Three finite numbers of a list, tuple or NumPy array; None for anything else."""
    if isinstance(values, NumpyArray):
        values = None if values.array is None else values.array.ravel().tolist()
    fits = (
        isinstance(values, (list, tuple))
        and len(values) == 3
        and all(
            isinstance(value, (int, float, np.number))
            and abs(float(value) if isinstance(value, np.number) else value) < _LARGEST
            for value in values
        )
    )
    return (float(values[0]), float(values[1]), float(values[2])) if fits else None


def _shown(found: Any) -> str:
    """A value of a file in a message: numbers and lists of a few, and of all else only the type."""
    if isinstance(found, (list, tuple)) and len(found) <= 4:
        return f"[{', '.join(_shown(value) if not isinstance(value, (list, tuple)) else '[...]' for value in found)}]"
    return printable(repr(found)) if isinstance(found, (int, float, str, type(None))) else type(found).__name__


def _of_unit_scale(claim: _Claim) -> bool:
    return max(claim.mean) > 0 and _fits_unit(claim.mean, claim.std)


def _fits_unit(mean: Channels, std: Channels) -> bool:
    return min(mean) >= 0 and max(mean) <= 1 and max(std) <= 1


def _times_255(values: Channels) -> Channels:
    return (round(255 * values[0], 6), round(255 * values[1], 6), round(255 * values[2], 6))
