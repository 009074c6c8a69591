"""A network in a checkpoint file -> tensors by our names, with every one of its keys accounted for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor

from afformer.errors import CheckpointError
from afformer.model.names import UNUSED, our_name
from afformer.model.network import VARIANTS, AFFormer, AFFormerConfig
from afformer.model.networks import Network
from afformer.model.reading.faults import printable
from afformer.model.reading.tensors import StoredTensor
from afformer.wording import listed

_LISTED = 10
_EPS = 1e-5
"""BatchNorm's eps: rounding may leave a variance below 0 by no more than this."""
_MOST_TENSORS = 20_000

Copies = dict[str, dict[str, StoredTensor]]
"""Our name -> the file's names -> tensors. Official files repeat the tensors that the layers of a stage share."""


@dataclasses.dataclass(frozen=True)
class Account:
    """A state dict that fits a variant.

    Attributes:
        config: The variant, read from the tensors' shapes.
        num_classes: Channels of the logits, read from the classifier.
        state: Tensors by our names, float32.
    """

    config: AFFormerConfig
    num_classes: int
    state: dict[str, Tensor]


def account_for(network: Network, path: Path) -> Account:
    """Checks that a network that was found in a file is an AFFormer, and reads it.

    Raises:
        CheckpointError: It lacks its head, or its keys are missing, unexpected, wrongly shaped, not finite, or
            contradict each other; the message lists them.
    """
    copies, unexpected = _by_our_name(network, path)
    config = _variant(copies, path)
    num_classes = _first(copies["head.classify.weight"]).shape[0]
    if num_classes == 0:
        raise CheckpointError(f"{path}: its classifier has 0 classes, at least 1 is needed; save it again")
    _check(copies, unexpected, config, num_classes, path)
    return Account(config, num_classes, _read(copies, config, path))


def _by_our_name(network: Network, path: Path) -> tuple[Copies, list[str]]:
    """The tensors that the network reads, and the unexpected names. Step counters and the unused block are neither."""
    state = network.tensors
    if len(state) > _MOST_TENSORS:
        raise CheckpointError(f"{path}: not an AFFormer checkpoint; it has {len(state):,} tensors, expected about 500")
    if not network.has_head:
        others = sorted({name.split(".", maxsplit=1)[0] for name in network.beside})
        beside = f", beside {_some(others)}" if others else " (ImageNet pre-training)"
        raise CheckpointError(
            f"{path}: holds only the backbone{beside}, and no segmentation head; "
            "expected a checkpoint of the whole segmentation model, with decode_head.*"
        )
    if network.strange:
        raise CheckpointError(
            f"{path}: not tensors in the network {network.place()}: {_some(list(network.strange))}; save its "
            "state_dict() with whole tensors"
        )
    official = any(name.startswith("backbone.") for name in state)
    copies: Copies = {}
    unexpected = []
    for name, tensor in state.items():
        key = our_name(name) if official else name
        if key is not None:
            copies.setdefault(key, {})[name] = tensor
        elif tuple(tensor.shape) != UNUSED.get(name):
            unexpected.append(name)
    return copies, unexpected


def _variant(copies: Copies, path: Path) -> AFFormerConfig:
    required = [f"stages.{i}.aggregate.conv.weight" for i in range(4)] + ["head.classify.weight"]
    missing = [name for name in required if name not in copies]
    if missing:
        raise CheckpointError(f"{path}: {_listed(missing, 'missing key')}")
    shapes = [_first(copies[name]).shape for name in required]
    if any(len(shape) != 4 for shape in shapes):
        raise CheckpointError(f"{path}: aggregation and classifier weights must be 4-D kernels; save it again")
    channels = tuple(shape[1] for shape in shapes[:4])
    depths = (1, *(_depth(copies, stage) for stage in (1, 2, 3)))
    for config in VARIANTS.values():
        if config.channels == channels and config.depths == depths:
            return config
    known = "; ".join(f"{c.name}: {c.channels} and {c.depths}" for c in VARIANTS.values())
    raise CheckpointError(f"{path}: channels {channels} and depths {depths} are of no known variant ({known})")


def _depth(copies: Copies, stage: int) -> int:
    prefix = f"stages.{stage}.prototypes.blocks."
    return len({name.removeprefix(prefix).split(".")[0] for name in copies if name.startswith(prefix)})


def _check(copies: Copies, unexpected: list[str], config: AFFormerConfig, num_classes: int, path: Path) -> None:
    """Names, shapes and types of numbers, before anything is read: a tensor of the wrong shape may be of any size."""
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in AFFormer(config, num_classes).state_dict().items()}
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - counters - copies.keys())
    unexpected = sorted([*unexpected, *(copies.keys() - expected.keys())])
    shared = sorted(expected.keys() & copies.keys())
    shaped = [
        f"{name} {tensor.shape} instead of {expected[name]}"
        for name in shared
        for tensor in copies[name].values()
        if tensor.shape != expected[name]
    ]
    _report(path, config, (missing, "missing key"), (unexpected, "unexpected key"), (shaped, "wrong shape"))
    for name in counters & copies.keys():
        del copies[name]
    unfit = [f"{name} {t.problem}" for name in sorted(copies) for t in copies[name].values() if t.problem]
    _report(path, config, (unfit, "tensor that cannot be weights", "tensors that cannot be weights"))


def _read(copies: Copies, config: AFFormerConfig, path: Path) -> dict[str, Tensor]:
    """One float32 tensor for each name, if all its copies are finite and equal."""
    found = {name: [tensor.weights() for tensor in tensors.values()] for name, tensors in copies.items()}
    broken = [name for name in sorted(found) if not all(map(_is_finite, found[name]))]
    _report(path, config, (broken, "not-finite tensor"))
    torn = [name for name in sorted(found) if not all(torch.equal(found[name][0], t) for t in found[name][1:])]
    negative = [name for name in sorted(found) if name.endswith("running_var") and float(found[name][0].min()) <= -_EPS]
    _report(
        path,
        config,
        (negative, "negative variance, which training cannot give", "negative variances, which training cannot give"),
    )
    _report(path, config, (torn, "shared tensor whose copies differ", "shared tensors whose copies differ"))
    return {name: tensors[0] for name, tensors in found.items()}


def _is_finite(tensor: Tensor) -> bool:
    """One pass for both extremes, which are NaN if any value is; no tensor of booleans is made."""
    return all(math.isfinite(extreme) for extreme in tensor.aminmax())


def _report(path: Path, config: AFFormerConfig, *found: tuple[list[str], str] | tuple[list[str], str, str]) -> None:
    problems = [_listed(names, *kind) for names, *kind in found if names]
    if problems:
        raise CheckpointError(f"{path}: does not fit AFFormer-{config.name}; {'; '.join(problems)}")


def _first(tensors: dict[str, StoredTensor]) -> StoredTensor:
    return next(iter(tensors.values()))


def _listed(names: list[str], kind: str, kinds: str | None = None) -> str:
    return f"{len(names)} {kind if len(names) == 1 else kinds or kind + 's'}: {_some(names)}"


def _some(names: list[str]) -> str:
    return listed([printable(name) for name in names], _LISTED)
