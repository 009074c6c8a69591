"""Finds the networks in a checkpoint file, at any depth; `choosing` decides which one is meant.

A network is found by names that only AFFormer has (`backbone.mhca_stages.`, or our own `stages.0.descriptor.`). What
comes before them is its prefix: the containers of the file and the wrappers of its trainer (`state_dict.module.`,
`model.student.`). Whatever else has that prefix lies beside the network (`criterion.`, `auxiliary_head.`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from afformer.model.config_text import Config, entries, word
from afformer.model.reading.faults import printable
from afformer.model.reading.tensors import StoredTensor

_WRAPPERS = (
    *("module", "_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module", "_forward_module"),
    *("_modules", "_parameters", "_buffers"),
)
"""Parts of names that DataParallel, `torch.compile`, FSDP, Fabric and pickled modules insert."""

_WRAPPER = rf"(?:(?:{'|'.join(_WRAPPERS)})\.)*"
_ANCHOR = re.compile(
    rf"(?P<prefix>(?:.*?\.)??)(?:backbone\.{_WRAPPER})?"
    rf"(?:(?:mhca_stages|patch_embed_stages)\.{_WRAPPER}\d\.|stages\.{_WRAPPER}0\.{_WRAPPER}descriptor\.)"
)
_INSIDE = re.compile(rf"(?<![^.])(?:{'|'.join(_WRAPPERS)})\.")
_OFFICIAL_PARTS = ("backbone.", "decode_head.")
_BACKBONE_PARTS = ("mhca_stages.", "patch_embed_stages.", "stem.")
_OWN_PARTS = ("stem.", "stages.", "head.")
MMCV_AVERAGE = "ema_"
"""What mmcv puts before the names of averages."""
_HEAD = re.compile(r"(?P<prefix>(?:.*\.)?)squeeze\.conv\.weight")
_SAVING_PRIORITY = 50
_FEWEST = 20
"""Tensors without names that make an average of weights."""


@dataclasses.dataclass(frozen=True)
class Network:
    """One set of weights in a file.

    Attributes:
        where: Keys and prefix that lead to it; empty if its names begin at the top.
        tensors: By their names without prefix and wrappers.
        beside: Other tensors with its prefix.
        strange: Names inside the network whose values are not tensors.
        averaged: Whether it is a moving average.
        teacher: Whether it taught another network.
        note: What was done to it, for people.
    """

    where: str
    tensors: dict[str, StoredTensor]
    beside: dict[str, StoredTensor]
    strange: tuple[str, ...] = ()
    averaged: bool = False
    teacher: bool = False
    note: str = ""

    @property
    def has_head(self) -> bool:
        """Whether it is more than a backbone."""
        return any(name.startswith(("decode_head.", "head.")) for name in self.tensors)

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return "the teacher" if self.teacher else "the moving average" if self.averaged else "the raw weights"

    def place(self) -> str:
        """Where it lies, for people."""
        place = f"under {printable(self.where)}" if self.where else "at the top of the file"
        return f"{place} ({self.note})" if self.note else place


def networks_in(found: Mapping[str, Any], *, exchanged: bool = False) -> list[Network]:
    """All networks, in the order of the file.

    Args:
        found: What `leaves` found.
        exchanged: Whether mmcv's hook had put the average in the place of the weights, see `exchanged_by_mmcv`.
    """
    anchors = (_ANCHOR.match(name) for name, value in found.items() if isinstance(value, StoredTensor))
    prefixes = sorted({match["prefix"] for match in anchors if match}, key=len, reverse=True)
    parts: dict[str, dict[str, Any]] = {prefix: {} for prefix in prefixes}
    for name, value in found.items():
        home = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if home is not None:
            parts[home][name.removeprefix(home)] = value
    networks = _with_heads({prefix: _network(prefix, parts[prefix], found) for prefix in reversed(prefixes)}, found)
    for network, average in [(network, average) for network in networks if (average := _mmcv_average(network))]:
        networks[networks.index(network)] = dataclasses.replace(network, averaged=exchanged or network.averaged)
        networks.append(dataclasses.replace(average, averaged=not exchanged))
    return _completed(_relabelled(networks, found))


def exchanged_by_mmcv(config: Config) -> bool:
    """Whether mmcv's `EMAHook` saved the average as the weights, and the weights as `ema_*`.

    It exchanges the two at the end of an epoch. The checkpoint shows it if the hook ran before the one that saves,
    whose priority is 50; runners that count iterations never exchange them.
    """
    all_entries = [entry.values for found in config.found.values() for entry in entries(found)]
    by_epoch = any(word(values.get("type")) == "epochbasedrunner" for values in all_entries)
    hooks = [values for values in all_entries if "emahook" in word(values.get("type"))]
    return by_epoch and any(_is_before_saving(hook.get("priority")) for hook in hooks)


def _is_before_saving(priority: Any) -> bool:
    if isinstance(priority, str):
        return priority.upper() in ("HIGHEST", "VERY_HIGH", "HIGH", "ABOVE_NORMAL")
    return isinstance(priority, int) and priority < _SAVING_PRIORITY


def nameless_averages(found: Mapping[str, Any]) -> list[str]:
    """Places of averages that are lists of tensors, as `torch_ema` saves them: nothing says which is which."""
    lists: dict[str, int] = {}
    for name, value in found.items():
        place, _, last = name.rpartition(".")
        if last.isdecimal() and isinstance(value, StoredTensor):
            lists[place] = lists.get(place, 0) + 1
    return [place for place, count in lists.items() if count >= _FEWEST and any(map(_means_average, _words(place)))]


def _network(prefix: str, values: dict[str, Any], found: Mapping[str, Any]) -> Network:
    clean = {_INSIDE.sub("", name): value for name, value in values.items()}
    tensors: dict[str, StoredTensor] = {}
    beside: dict[str, StoredTensor] = {}
    strange: list[str] = []
    official = any(name.startswith((*_OFFICIAL_PARTS, "mhca_stages.")) for name in clean)
    for name, value in clean.items():
        inside = name.startswith((*_OFFICIAL_PARTS, *_BACKBONE_PARTS) if official else _OWN_PARTS)
        if isinstance(value, StoredTensor):
            (tensors if inside else beside)[_with_backbone(name) if official and inside else name] = value
        elif inside and "_extra_state" not in name.split("."):
            strange.append(name)
    where = prefix.rstrip(".")
    words = _words(where)
    averaged = any(_means_average(word) for word in words) or _counter(prefix) in found
    return Network(where, tensors, beside, tuple(strange), averaged, not averaged and "teacher" in words)


def _words(where: str) -> list[str]:
    return re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", where).lower())


def _with_heads(networks: dict[str, Network], found: Mapping[str, Any]) -> list[Network]:
    """Backbones get the head that their trainer gave another name, such as `decoder.` or `model.head.`.

    A head is recognised by the names inside it, `squeeze.conv.weight` and `conv_seg.weight`. It must lie in the same
    dictionary as the backbone, or be the only one in the file for the only backbone.
    """
    clean = {_INSIDE.sub("", name): value for name, value in found.items()}
    whole = tuple(
        f"{prefix}{part}" for prefix, n in networks.items() if n.has_head for part in ("decode_head.", "head.")
    )
    places = [match["prefix"] for name in clean if (match := _HEAD.fullmatch(name))]
    heads = [head for head in places if f"{head}conv_seg.weight" in clean and not head.startswith(whole)]
    lonely = [prefix for prefix, network in networks.items() if not network.has_head]
    for prefix in lonely:
        near = [head for head in heads if head.split(".")[0] == prefix.split(".")[0]] if "." in prefix else heads
        mine = near or (heads if len(lonely) == 1 else [])
        if len(mine) == 1:
            networks[prefix] = _joined(networks[prefix], prefix, mine[0], clean)
    return list(networks.values())


def _joined(network: Network, prefix: str, head: str, clean: Mapping[str, Any]) -> Network:
    tensors = {
        f"decode_head.{name.removeprefix(head)}": value
        for name, value in clean.items()
        if name.startswith(head) and isinstance(value, StoredTensor)
    }
    beside = {name: value for name, value in network.beside.items() if not f"{prefix}{name}".startswith(head)}
    note = f"its head under {printable(head.rstrip('.'))}"
    return dataclasses.replace(network, tensors=network.tensors | tensors, beside=beside, note=note)


def _completed(networks: list[Network]) -> list[Network]:
    """Averages of the parameters alone, with the raw network's statistics and whatever else was not averaged."""
    raw = [network for network in networks if network.has_head and not network.averaged and not network.teacher]
    return [_with_rest(n, raw[0]) if n.averaged and n.has_head and len(raw) == 1 else n for n in networks]


def _with_rest(average: Network, raw: Network) -> Network:
    lacking = {name: tensor for name, tensor in raw.tensors.items() if name not in average.tensors}
    lacking = {name: tensor for name, tensor in lacking.items() if not name.endswith("num_batches_tracked")}
    if not lacking or not average.tensors.keys() <= raw.tensors.keys():
        return average
    note = f"{len(lacking)} tensors that it lacks are the raw weights'"
    return dataclasses.replace(average, tensors=lacking | average.tensors, note=note)


def _counter(prefix: str) -> str:
    """The name of what `torch.optim.swa_utils.AveragedModel` counts in, beside its `module`."""
    return prefix.removesuffix("module.") + "n_averaged"


def _with_backbone(name: str) -> str:
    """The backbone as published for ImageNet has no name of its own."""
    return f"backbone.{name}" if name.startswith(_BACKBONE_PARTS) else name


def _means_average(word: str) -> bool:
    return word.startswith(("ema", "swa", "averag", "shadow", "polyak")) or word == "avg"


def _mmcv_average(network: Network) -> Network | None:
    """Mmcv's `EMAHook` keeps the average of every parameter in a buffer: `ema_` and the name, its points as `_`."""
    renamed = {f"{MMCV_AVERAGE}{name.replace('.', '_')}": name for name in network.tensors}
    found = {renamed[name]: tensor for name, tensor in network.beside.items() if name in renamed}
    if not found:
        return None
    where = f"{network.where}.{MMCV_AVERAGE}*" if network.where else f"{MMCV_AVERAGE}*"
    rest = {name: tensor for name, tensor in network.beside.items() if not name.startswith(MMCV_AVERAGE)}
    return dataclasses.replace(network, where=where, tensors=network.tensors | found, beside=rest, averaged=True)


def _relabelled(networks: list[Network], found: Mapping[str, Any]) -> list[Network]:
    """Two trainers put the average where the weights usually are, and the raw weights beside it.

    1. mmengine's `EMAHook` swaps them when it saves. Its averaged model is known by its counter, `steps`.
    2. Lightning's `WeightAveraging` keeps the raw weights as `current_model_state`.
    """
    tops = {network.where.split(".")[0] for network in networks}
    mmengine = any(
        name in ("meta.mmengine_version", "message_hub") or name.startswith("message_hub.") for name in found
    )
    raw = ""
    if mmengine and {"state_dict", "ema_state_dict"} <= tops and "ema_state_dict.steps" in found:
        raw = "ema_state_dict"
    elif {"state_dict", "current_model_state"} <= tops:
        raw = "current_model_state"
    if not raw:
        return networks
    top = {raw: False, "state_dict": True}
    return [
        dataclasses.replace(network, averaged=top.get(network.where.split(".")[0], network.averaged))
        for network in networks
    ]
