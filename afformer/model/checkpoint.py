"""Any AFFormer checkpoint file -> network, class names and palette, with every key accounted for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from afformer import datasets
from afformer.errors import CheckpointError
from afformer.model.files import read_checkpoint_file, sha256
from afformer.model.names import is_unused, our_name
from afformer.model.network import VARIANTS, AFFormer, AFFormerConfig
from afformer.output import replacing
from afformer.spec import RGB, ModelSpec

_STATE_KEYS = ("state_dict", "model", "model_state_dict", "ema_state_dict")
_WRAPPERS = ("module.", "_orig_mod.", "model.")
_LISTED = 10


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that fits an AFFormer.

    Attributes:
        config: The variant, read from the tensors' shapes.
        num_classes: Channels of the logits, read from the classifier.
        state: Tensors by our names, float32.
        classes: Class names that the file carries, or None.
        palette: RGB colours that the file carries, or None.
        sha256: Hex digest of the file.
    """

    config: AFFormerConfig
    num_classes: int
    state: dict[str, Tensor]
    classes: tuple[str, ...] | None
    palette: tuple[RGB, ...] | None
    sha256: str

    def build(self) -> AFFormer:
        """The network in evaluation mode, float32, on the CPU."""
        network = AFFormer(self.config, self.num_classes)
        network.load_state_dict(self.state, strict=False)  # load_checkpoint has accounted for every key
        return network.eval()

    def spec(self, input_hw: tuple[int, int], dataset: str | None = None) -> ModelSpec:
        """What a model made from this checkpoint must say of itself.

        Class names and colours are those of `dataset` if it is given, else the file's own, else those of the known data
        set with that many classes, else generic ones.

        Raises:
            CheckpointError: `dataset` has another number of classes.
        """
        known = datasets.by_name(dataset) if dataset else self._recognised()
        if known and len(known.classes) != self.num_classes:
            raise CheckpointError(
                f"data set {known.name} has {len(known.classes)} classes, but the checkpoint has {self.num_classes}; "
                "name the data set it was trained on"
            )
        labels = known or datasets.generic(self.num_classes)
        classes, palette = labels.classes, labels.palette
        if not dataset:
            classes, palette = self.classes or classes, self.palette or palette
        return ModelSpec(
            variant=self.config.name,
            input_hw=input_hw,
            classes=classes,
            palette=palette,
            dataset=known.name if known else "custom",
            checkpoint_sha256=self.sha256,
        )

    def _recognised(self) -> datasets.Dataset | None:
        known = datasets.by_class_count(self.num_classes)
        if known and self.classes and tuple(map(str.lower, self.classes)) != tuple(map(str.lower, known.classes)):
            return None
        return known


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads an official (mmcv, mmengine), plain, wrapped or own checkpoint file.

    Raises:
        CheckpointError: The file cannot be read, is no AFFormer, lacks its head, or has keys that are missing,
            unexpected, wrongly shaped or not finite; the message lists them.
    """
    content, metadata = read_checkpoint_file(path)
    state = _our_state(_find_state(content, path), path)
    config = _variant(state, path)
    num_classes = int(state["head.classify.weight"].shape[0])
    _check_every_key(state, config, num_classes, path)
    classes, palette = _labels(content, metadata, num_classes)
    return Checkpoint(config, num_classes, state, classes, palette, sha256(path))


def save_checkpoint(path: Path, network: AFFormer, classes: tuple[str, ...], palette: tuple[RGB, ...]) -> None:
    """Writes our own format: safetensors, matrices and kernels in float16, norms and biases in float32.

    Raises:
        OutputError: The file cannot be written.
    """
    state = {
        name: (tensor.half() if tensor.dim() > 1 else tensor.float()).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {"variant": network.config.name, "classes": json.dumps(classes), "palette": json.dumps(palette)}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(state, metadata))


def _find_state(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a file, wherever its writer put them, without the wrappers' prefixes."""
    if isinstance(content, Mapping):
        for key in _STATE_KEYS:
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
        state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        if state:
            return _unwrapped(state)
    raise CheckpointError(
        f"{path}: holds no tensors by name (found {type(content).__name__}); "
        "expected a state dict, alone or under 'state_dict'"
    )


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            return _unwrapped({name.removeprefix(prefix): tensor for name, tensor in state.items()})
    return state


def _our_state(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Tensors by our names; copies of a shared tensor are checked to be equal and become one."""
    if any(name.startswith("mhca_stages.") for name in state):  # the backbone as published for ImageNet
        state = {f"backbone.{name}": tensor for name, tensor in state.items()}
    official = any(name.startswith("backbone.mhca_stages.") for name in state)
    if not official and not any(name.startswith("stages.0.descriptor.") for name in state):
        raise CheckpointError(
            f"{path}: not an AFFormer checkpoint; its {len(state)} tensors begin with {_some(sorted(state)[:3])}, "
            "expected names such as backbone.mhca_stages.0.aggregate.conv.weight"
        )
    if not any(name.startswith(("decode_head.", "head.")) for name in state):
        raise CheckpointError(
            f"{path}: holds only the backbone (ImageNet pre-training) and no segmentation head; "
            "expected a checkpoint of the whole segmentation model, with decode_head.*"
        )
    ours: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked") or is_unused(name):
            continue
        key = our_name(name) if official else name
        if key is None:
            unexpected.append(name)
        elif key in ours and not torch.equal(ours[key], tensor.float()):
            raise CheckpointError(
                f"{path}: {name} differs from the other copies of the tensor that a stage's layers share"
            )
        else:
            ours[key] = tensor.float()
    if unexpected:
        raise CheckpointError(f"{path}: {_count(unexpected, 'unexpected key')}: {_some(unexpected)}")
    return ours


def _variant(state: dict[str, Tensor], path: Path) -> AFFormerConfig:
    required = [f"stages.{i}.aggregate.conv.weight" for i in range(4)] + ["head.classify.weight"]
    missing = [name for name in required if name not in state]
    if missing:
        raise CheckpointError(f"{path}: {_count(missing, 'missing key')}: {_some(missing)}")
    if any(state[name].dim() != 4 for name in required):
        raise CheckpointError(
            f"{path}: the aggregation and classifier weights must be 4-D kernels; the file is damaged"
        )
    channels = tuple(int(state[name].shape[1]) for name in required[:4])
    depths = (
        1,
        *(len({k.split(".")[4] for k in state if k.startswith(f"stages.{i}.prototypes.blocks.")}) for i in (1, 2, 3)),
    )
    for config in VARIANTS.values():
        if config.channels == channels and config.depths == depths:
            return config
    known = "; ".join(f"{c.name}: {c.channels} and {c.depths}" for c in VARIANTS.values())
    raise CheckpointError(f"{path}: channels {channels} and depths {depths} are of no known variant ({known})")


def _check_every_key(state: dict[str, Tensor], config: AFFormerConfig, num_classes: int, path: Path) -> None:
    with torch.device("meta"):
        reference = AFFormer(config, num_classes).state_dict()
    expected = {k: tuple(v.shape) for k, v in reference.items() if not k.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    shared = expected.keys() & state.keys()
    shaped = [
        f"{k} {tuple(state[k].shape)} instead of {expected[k]}" for k in sorted(shared) if state[k].shape != expected[k]
    ]
    broken = sorted(k for k in shared if not bool(torch.isfinite(state[k]).all()))
    found = (
        (missing, "missing key"),
        (unexpected, "unexpected key"),
        (shaped, "wrong shape"),
        (broken, "not-finite tensor"),
    )
    problems = [f"{_count(names, kind)}: {_some(names)}" for names, kind in found if names]
    if problems:
        raise CheckpointError(f"{path}: does not fit AFFormer-{config.name}; {'; '.join(problems)}")


def _labels(
    content: Any, metadata: dict[str, str], count: int
) -> tuple[tuple[str, ...] | None, tuple[RGB, ...] | None]:
    """Class names and palette from our metadata, mmcv's meta or mmengine's dataset_meta, where they fit."""
    if "classes" in metadata:
        meta: Any = {key: json.loads(metadata[key]) for key in ("classes", "palette") if key in metadata}
    else:
        meta = content.get("meta") if isinstance(content, Mapping) else None
    if isinstance(meta, Mapping):
        meta = meta.get("dataset_meta", meta)
    if not isinstance(meta, Mapping):
        return None, None
    lowered = {str(key).lower(): value for key, value in meta.items()}
    names, colours = lowered.get("classes"), lowered.get("palette")
    classes = palette = None
    if isinstance(names, (list, tuple)) and len(names) == count:
        classes = tuple(map(str, names))
    if isinstance(colours, (list, tuple)) and len(colours) == count:
        palette = tuple((int(r), int(g), int(b)) for r, g, b in colours)
    return classes, palette


def _count(names: list[str], kind: str) -> str:
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''}"


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
