"""The places in a checkpoint file that say mean, standard deviation or channel order."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afformer.errors import CheckpointError
from afformer.model.config_text import THE_FILE, Config, Entry, entries, word
from afformer.model.reading.faults import printable
from afformer.model.reading.numpy_values import NumpyArray
from afformer.model.reading.tensors import StoredTensor
from afformer.spec import Channels, ColorOrder

_OF_PICTURES = r"(?:image|img|pixel|rgb|bgr|norm|normali[sz]e|normali[sz]ation|data|dataset|input|channel)"
_MEAN = re.compile(rf"(?P<of>{_OF_PICTURES}_)?mean(?P<rest>s|_{_OF_PICTURES})?")
_BUFFER = re.compile(rf"(?:.*\.)?(?:data_preprocessor\.|{_OF_PICTURES}[._]|normalizer\.|preprocess\.)?mean")
_NORMALISES = re.compile(r"normali[sz]|preproc|pre_proc|_norm\b|norm_|^norm$", re.IGNORECASE)
_LARGEST = 1e9
_LONGEST = 200
_OTHER = 4


@dataclasses.dataclass(frozen=True)
class Claim:
    """What one place says.

    Attributes:
        where: The place, for people.
        mean: By channel.
        std: By channel.
        order: Of the channels; None where the place does not say.
        plain: Whether the numbers belong to pictures of 0..255 for certain.
        scale: What makes them numbers for pictures of 0..255; None where nothing says it.
    """

    where: str
    mean: Channels
    std: Channels
    order: ColorOrder | None
    plain: bool
    scale: float | None = None


def claims_in(
    own: Mapping[str, Any], tensors: Mapping[str, StoredTensor], config: Config, path: Path
) -> tuple[list[Claim], list[str]]:
    """What the file says, the most trusted place first, and the places whose mean and std cannot be read.

    Args:
        own: Our own metadata, keys in lower case.
        tensors: All tensors of the file by name, those beside the network first.
        config: What the file says of its training.
        path: The file, for errors.

    Raises:
        CheckpointError: Our own metadata is unusable.
    """
    stated, unread = _from_config(config)
    return [*_own(own, path), *_buffers(tensors), *stated], unread


def stated_order(config: Config) -> tuple[ColorOrder, str] | None:
    """The channel order that a file states apart from mean and std, such as detectron2's `INPUT.FORMAT`."""
    for place, found in config.found.items():
        for entry in entries(found):
            values = {key.lower(): value for key, value in entry.values.items()}
            key = next((key for key in _ORDER_KEYS if word(values.get(key)) in _ORDERS), None)
            if key:
                return ColorOrder(word(values[key])), _where((*entry.path, key), place)
    return None


def _own(own: Mapping[str, Any], path: Path) -> Iterator[Claim]:
    if "mean" not in own and "std" not in own:
        return
    mean, std = channels(own.get("mean")), channels(own.get("std"))
    if mean is None or std is None or min(std) <= 0:
        found = f"mean {_shown(own.get('mean'))} and std {_shown(own.get('std'))}"
        raise CheckpointError(
            f"{path}: its normalisation, {found}, must be three numbers each, std above 0; save it again, or say "
            "`mean` and `std`"
        )
    yield Claim("the file's metadata", mean, std, order_in(own), True)


def _buffers(tensors: Mapping[str, StoredTensor]) -> Iterator[Claim]:
    for name, tensor in tensors.items():
        if not _BUFFER.fullmatch(name):
            continue
        other = tensors.get(f"{name.removesuffix('mean')}std")
        if other is not None and math.prod(tensor.shape) == math.prod(other.shape) == 3:
            mean, std = channels(tensor), channels(other)
            where = f"the buffer {printable(name)}"
            yield Claim(where, mean or (0, 0, 0), std or (0, 0, 0), None, "data_preprocessor" in name)


def _from_config(config: Config) -> tuple[list[Claim], list[str]]:
    ranked: list[tuple[int, Claim]] = []
    unread: list[str] = []
    for place, found in config.found.items():
        for entry in entries(found):
            values = {key.lower(): value for key, value in entry.values.items()}
            for name, other in _pairs(values):
                rank = _rank(entry)
                alone = rank < _OTHER or name != "mean" or _normalises(entry)
                mean, std = (channels(values[key], alone=alone) for key in (name, other))
                if mean and std and rank == _OTHER and min(std) <= 0:
                    continue  # means of something else
                if mean and std:
                    claim = Claim(_where(entry.path, place), mean, std, _order(entry), rank < _OTHER, _scale(values))
                    ranked.append((rank, claim))
                elif rank < _OTHER or (alone and values[name] is not None):
                    unread.append(_where((*entry.path, name), place))
    return [claim for _, claim in sorted(ranked, key=lambda pair: pair[0])], unread


def _pairs(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of a mean and of its std."""
    for name in values:
        match = _MEAN.fullmatch(name)
        if match:
            before, after = match["of"] or "", match["rest"] or ""
            stds = (f"{before}{word}{after}" for word in ("std", "stdev", "std_dev"))
            other = next((std for std in stds if std in values), None)
            if other:
                yield name, other


def _where(path: tuple[str, ...], place: str) -> str:
    name = printable(".".join(path))
    if place == THE_FILE:
        return name or "mean and std at the top of the file"
    return f"{name or 'mean and std'} in {place}"


def _kind(entry: Entry) -> str:
    names = (entry.values.get(key) for key in ("type", "__class_fullname__", "_target_"))
    return next((name for name in names if isinstance(name, str) and name), "")


def _rank(entry: Entry) -> int:
    kind = _kind(entry)
    if "data_preprocessor" in entry.path or "PreProcessor" in kind:
        return 0
    if entry.values.get("type") and kind.endswith("Normalize"):
        return 1 if any(word in key for key in entry.path for word in ("test", "val")) else 2
    return 3 if "img_norm_cfg" in entry.path else _OTHER


def _normalises(entry: Entry) -> bool:
    """Whether one number for all channels can be meant: initial weights have a mean and a std as well."""
    kind = _kind(entry)
    return bool(_NORMALISES.search(kind)) if kind else any(map(_NORMALISES.search, entry.path))


def _scale(values: Mapping[str, Any]) -> float | None:
    """By albumentations' `max_pixel_value`, or transformers' `rescale_factor`."""
    most, factor = values.get("max_pixel_value"), values.get("rescale_factor")
    if isinstance(most, (int, float)) and 0 < most < _LARGEST:
        return float(most)
    if isinstance(factor, (int, float)) and 1 / _LARGEST < factor < _LARGEST:
        return 1 / factor if values.get("do_rescale", True) else 1.0
    return None


def _order(entry: Entry) -> ColorOrder | None:
    """Where a trainer's own default applies, it is as good as said: mmcv reads BGR, `Normalize` makes RGB of it."""
    said = order_in(entry.values)
    rank = _rank(entry)
    if said or rank == _OTHER:
        return said
    return ColorOrder.BGR if rank == 0 else ColorOrder.RGB


_ORDERS = ("rgb", "bgr")
_ORDER_KEYS = (
    *("color_order", "channel_order", "input_format", "image_format", "format", "color_mode", "color_format"),
    *("channels_order", "color_space", "input_space"),
)


def order_in(values: Mapping[str, Any]) -> ColorOrder | None:
    """The channel order that a dictionary states, in the words of the trainers."""
    said = next((word(values[key]) for key in _ORDER_KEYS if word(values.get(key)) in _ORDERS), None)
    if said:
        return ColorOrder(said)
    if any(values.get(key) is True for key in ("rgb_to_bgr", "bgr", "is_bgr", "use_bgr")):
        return ColorOrder.BGR
    for key in ("bgr_to_rgb", "to_rgb"):
        if isinstance(values.get(key), (bool, int)):
            return ColorOrder.RGB if values[key] else ColorOrder.BGR
    return None


def channels(values: Any, *, alone: bool = False) -> Channels | None:
    """Three finite numbers of a list, tuple, array, tensor or text; None for anything else.

    Args:
        values: As a file has them.
        alone: Whether one number may stand for all three channels.
    """
    if isinstance(values, StoredTensor):
        tensor = values.small(3)
        values = None if tensor is None else tensor.flatten().tolist()
    if isinstance(values, NumpyArray):
        values = None if values.array is None else values.array.ravel()[:4].tolist()
    if isinstance(values, str):
        values = _numbers(values)
    if alone and isinstance(values, (int, float, np.number)) and not isinstance(values, bool):
        values = [values] * 3
    if alone and isinstance(values, (list, tuple)) and len(values) == 1:
        values = [values[0]] * 3
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


def _numbers(text: str) -> list[float] | None:
    """`123.675,116.28,103.53`, as arguments of a command line are kept."""
    try:
        return [float(part) for part in re.split(r"[\s,;]+", text.strip(" []()"))] if len(text) < _LONGEST else None
    except ValueError:
        return None


def _shown(found: Any) -> str:
    """A value of a file in a message: numbers and lists of a few, and of all else only the type."""
    if isinstance(found, (list, tuple)) and len(found) <= 4:
        return f"[{', '.join(_shown(value) if not isinstance(value, (list, tuple)) else '[...]' for value in found)}]"
    return printable(repr(found)) if isinstance(found, (int, float, str, type(None))) else type(found).__name__
