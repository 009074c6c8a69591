"""Any AFFormer checkpoint file -> network, class names and palette, with every key accounted for."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from afformer import datasets
from afformer.errors import CheckpointError, OutputError
from afformer.files import sha256, write_file
from afformer.model.accounting import account_for
from afformer.model.files import open_checkpoint_file
from afformer.model.label_convention import reduces_zero_label
from afformer.model.labels import labels_in, normalisation_in
from afformer.model.network import AFFormer, AFFormerConfig
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, RGB, Channels, ModelSpec


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that fits an AFFormer.

    Attributes:
        config: The variant, read from the tensors' shapes.
        num_classes: Channels of the logits, read from the classifier.
        state: Tensors by our names, float32.
        classes: Class names that the file carries, or None.
        palette: RGB colours that the file carries, or None.
        mean: Mean by channel that pictures are normalised with, 0..255 scale.
        std: Standard deviation by channel, likewise.
        sha256: Hex digest of the file.
        reduce_zero_label: Whether labels in training counted from 1; None if the file does not say.
    """

    config: AFFormerConfig
    num_classes: int
    state: dict[str, Tensor]
    classes: tuple[str, ...] | None
    palette: tuple[RGB, ...] | None
    mean: Channels
    std: Channels
    sha256: str
    reduce_zero_label: bool | None = None

    def build(self) -> AFFormer:
        """The network in evaluation mode, float32, on the CPU."""
        network = AFFormer(self.config, self.num_classes)
        network.load_state_dict(self.state, strict=False)  # load_checkpoint has accounted for every key
        return network.eval()

    def spec(self, input_hw: tuple[int, int], dataset: str | None = None) -> ModelSpec:
        """The spec of a model made from this checkpoint.

        Class names and colours are those of `dataset` if given, else the file's own, else those of the known data set
        with that many classes, else generic ones.

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
            mean=self.mean,
            std=self.std,
            checkpoint_sha256=self.sha256,
            reduce_zero_label=self.reduce_zero_label,
        )

    def _recognised(self) -> datasets.Dataset | None:
        known = datasets.by_class_count(self.num_classes)
        if known and self.classes and tuple(map(str.lower, self.classes)) != tuple(map(str.lower, known.classes)):
            return None
        return known


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads an official (mmcv, mmengine), plain, wrapped or own checkpoint file.

    Raises:
        CheckpointError: The file cannot be read, is not an AFFormer, lacks its head, or has keys that do not fit; the
            message lists them.
    """
    with open_checkpoint_file(path) as (content, metadata):
        found = account_for(content, path)
        classes, palette = labels_in(content, metadata, found.num_classes, path)
        mean, std = normalisation_in(content, metadata, path)
        reduced = reduces_zero_label(content)
    return Checkpoint(found.config, found.num_classes, found.state, classes, palette, mean, std, sha256(path), reduced)


def save_checkpoint(
    path: Path,
    network: AFFormer,
    classes: tuple[str, ...],
    palette: tuple[RGB, ...],
    *,
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
) -> None:
    """Writes a checkpoint that `load_checkpoint` reads with everything that it says of itself.

    `.safetensors` is our own format: matrices and kernels in float16, norms and biases in float32. `.pth` is what
    `torch.save` writes, all in float32, with the keys of mmcv's files.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """
    check_suffix(path)
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    facts = {"classes": list(classes), "palette": [list(c) for c in palette], "mean": list(mean), "std": list(std)}
    if path.suffix == ".pth":
        write_saved({"meta": {key.upper(): value for key, value in facts.items()}, "state_dict": state}, path)
        return
    small = {name: tensor.half() if tensor.dim() > 1 else tensor.float() for name, tensor in state.items()}
    texts = {"variant": network.config.name} | {key: json.dumps(value) for key, value in facts.items()}
    write_file(path, safetensors.torch.save(small, texts))


def write_saved(content: dict[str, Any], path: Path) -> None:
    """Writes what `torch.save` makes, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    data = io.BytesIO()  # of a full disk, PyTorch's own writer makes an error of its own without a reason
    torch.save(content, data)
    write_file(path, data.getbuffer())


def check_suffix(path: Path) -> None:
    """Fails before training whose result could not be saved under that name.

    Raises:
        OutputError: The suffix is none that `save_checkpoint` writes.
    """
    if path.suffix not in (".pth", ".safetensors"):
        raise OutputError(f"{path}: checkpoints are written as .pth or .safetensors; name the file so")
