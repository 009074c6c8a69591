"""Any AFFormer checkpoint file -> network, class names, colours and normalisation, and where each comes from."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from afformer.errors import CheckpointError, OutputError
from afformer.files import sha256, write_file
from afformer.model import binary
from afformer.model.accounting import Account, account_for
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.model.choosing import choose
from afformer.model.config_text import Config, config_of
from afformer.model.files import Content, open_checkpoint_file
from afformer.model.holdings import description, leaves
from afformer.model.label_convention import reduces_zero_label
from afformer.model.labels import Found, decide_labels, found_labels
from afformer.model.network import AFFormer, AFFormerConfig
from afformer.model.networks import Network, exchanged_by_mmcv, nameless_averages, networks_in
from afformer.model.normalisation import Normalisation, normalisation_of
from afformer.model.reading.tensors import StoredTensor
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, RGB, Channels, ColorOrder, ModelSpec

_OWN = ("classes", "palette", "mean", "std", "color_order")
"""Keys of our own metadata, each a JSON text."""
_COARSEST = 2.0**-10
"""Twice what float16 does to a normal number."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that fits an AFFormer.

    Attributes:
        path: The file.
        config: The variant, read from the tensors' shapes.
        num_classes: Channels of the logits; 2 for a one-channel head, see `binary`.
        state: Tensors by our names, float32.
        labels: What the file says of its classes.
        normalisation: How pictures are normalised.
        weights: Which weights were taken, for people.
        sha256: Hex digest of the file.
        options: What the caller says.
        reduce_zero_label: Whether labels in training counted from 1; None if the file does not say.
    """

    path: Path
    config: AFFormerConfig
    num_classes: int
    state: dict[str, Tensor]
    labels: Found
    normalisation: Normalisation
    weights: str
    sha256: str
    options: CheckpointOptions = AS_THE_FILE_SAYS
    reduce_zero_label: bool | None = None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names that the file carries."""
        return self.labels.classes

    @property
    def palette(self) -> tuple[RGB, ...] | None:
        """RGB colours that the file carries."""
        return self.labels.palette

    @property
    def mean(self) -> Channels:
        """Mean of each channel, 0..255 scale, in the order of the normalisation."""
        return self.normalisation.mean

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel, likewise."""
        return self.normalisation.std

    def build(self) -> AFFormer:
        """The network in evaluation mode, float32, on the CPU."""
        network = AFFormer(self.config, self.num_classes)
        network.load_state_dict(self.state, strict=False)  # load_checkpoint has accounted for every key
        return network.eval()

    def spec(self, input_hw: tuple[int, int], dataset: str | None = None) -> ModelSpec:
        """The spec of a model made from this checkpoint; `labels` says where its class names come from.

        Raises:
            CheckpointError: The named data set or file has another number of classes.
        """
        options = dataclasses.replace(self.options, dataset=dataset) if dataset else self.options
        labels = decide_labels(self.labels, self.num_classes, options, self.path)
        return ModelSpec(
            variant=self.config.name,
            input_hw=input_hw,
            classes=labels.classes,
            palette=labels.palette,
            dataset=labels.dataset,
            mean=self.mean,
            std=self.std,
            color_order=self.normalisation.order,
            checkpoint_sha256=self.sha256,
            reduce_zero_label=self.reduce_zero_label,
            provenance={
                "normalisation": self.normalisation.sentence(),
                "weights": self.weights,
                "classes": labels.origin,
            },
        )

    def assumptions(self) -> list[str]:
        """Assumptions that the answer depends on, one sentence each."""
        return [f"normalisation: {self.normalisation.sentence()}"] if self.normalisation.assumed else []


def load_checkpoint(path: Path, options: CheckpointOptions = AS_THE_FILE_SAYS) -> Checkpoint:
    """Reads a checkpoint file of any trainer: the network is found wherever it lies in the file.

    Raises:
        CheckpointError: The file cannot be read, holds no AFFormer or several, lacks its head, or has keys that do not
            fit; the message lists what there is.
    """
    with open_checkpoint_file(path) as (content, metadata):
        return _loaded(Content(content, metadata), path, options)


def _loaded(content: Content, path: Path, options: CheckpointOptions) -> Checkpoint:
    found = _found(content.object, path)
    config = config_of(content.object, content.metadata)
    network, origin = _chosen(content.object, found, config, path, options)
    account = account_for(network, path)
    said = _said(content, path)
    tensors = {name: value for name, value in found.items() if isinstance(value, StoredTensor)}
    account, origin, one_channel = _two_classes(account, origin, config, options)
    return Checkpoint(
        path=path,
        config=account.config,
        num_classes=account.num_classes,
        state=account.state,
        labels=found_labels(said, config, account.num_classes, binary=one_channel),
        normalisation=normalisation_of(said, network.beside | tensors, config, options, path),
        weights=origin,
        sha256=sha256(path),
        options=options,
        reduce_zero_label=reduces_zero_label(content.object, config),
    )


def _found(content: Any, path: Path) -> dict[str, Any]:
    try:
        return leaves(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _chosen(
    content: Any, found: dict[str, Any], config: Config, path: Path, options: CheckpointOptions
) -> tuple[Network, str]:
    networks = networks_in(found, exchanged=exchanged_by_mmcv(config))
    if networks:
        chosen = choose(networks, options.weights, path, nameless_averages(found))
        return chosen.network, chosen.origin
    held = description(content, found)
    if any(name.split(".")[-1] == "weight" for name in found):
        raise CheckpointError(
            f"{path}: not an AFFormer checkpoint; it holds {held}, expected names such as "
            "backbone.mhca_stages.0.aggregate.conv.weight"
        )
    raise CheckpointError(f"{path}: holds no weights of a network, but {held}; expected a state dict, wherever it lies")


def _two_classes(
    account: Account, origin: str, config: Config, options: CheckpointOptions
) -> tuple[Account, str, bool]:
    if account.num_classes != 1:
        if options.threshold is not None:
            raise CheckpointError(
                f"`threshold` is for heads of one channel, but this one has {account.num_classes}; leave it out"
            )
        return account, origin, False
    threshold, who = binary.threshold_of(config, options.threshold)
    state = binary.two_classes(account.state, threshold)
    told = (
        f"{origin}; its one-channel head is two classes now, foreground where the sigmoid exceeds {threshold:g} ({who})"
    )
    return dataclasses.replace(account, num_classes=2, state=state), told, True


def _said(content: Content, path: Path) -> dict[str, Any]:
    """The file's metadata, keys in lower case: our own metadata, else mmcv's or mmengine's `meta`."""
    held = content.object if isinstance(content.object, Mapping) else {}
    said: Any = _own(content.metadata, path)
    if not said:
        meta = held.get("meta")
        said = dict(meta) if isinstance(meta, Mapping) else {}
        inner = said.get("dataset_meta")
        said |= inner if isinstance(inner, Mapping) else {}
        said = {key: held[key] for key in _LABELS_ON_TOP if key in held} | said
    return {str(key).lower(): value for key, value in said.items()}


_LABELS_ON_TOP = ("classes", "class_names", "palette", "names", "id2label", "CLASSES", "PALETTE")


def _own(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    try:
        return {key: json.loads(metadata[key]) for key in _OWN if key in metadata}
    except (ValueError, RecursionError) as error:  # RecursionError: nested without end
        raise CheckpointError(
            f"{path}: its metadata for {', '.join(_OWN)} is not JSON ({error}); save it again"
        ) from error


def save_checkpoint(
    path: Path,
    network: AFFormer,
    classes: tuple[str, ...],
    palette: tuple[RGB, ...],
    *,
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
    order: ColorOrder = ColorOrder.RGB,
) -> None:
    """Writes a checkpoint that `load_checkpoint` reads back with all its metadata.

    `.safetensors` is our own format: matrices and kernels in float16 where that holds their numbers, all else in
    float32. `.pth` is what
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
    facts = {
        "classes": list(classes),
        "palette": [list(c) for c in palette],
        "mean": list(mean),
        "std": list(std),
        "color_order": order.value,
    }
    if path.suffix == ".pth":
        write_saved({"meta": {key.upper(): value for key, value in facts.items()}, "state_dict": state}, path)
        return
    small = {name: _halved(tensor) if tensor.dim() > 1 else tensor.float() for name, tensor in state.items()}
    texts = {"variant": network.config.name} | {key: json.dumps(value) for key, value in facts.items()}
    write_file(path, safetensors.torch.save(small, texts))


def _halved(tensor: Tensor) -> Tensor:
    """In float16, unless that would overflow or move weights by more than a share of the largest."""
    exact, half = tensor.float(), tensor.half()
    moved = float((half.float() - exact).abs().amax())
    return half if moved <= _COARSEST * float(exact.abs().amax()) else exact  # an overflow moves by infinity


def write_saved(content: dict[str, Any], path: Path) -> None:
    """Writes what `torch.save` makes, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    data = io.BytesIO()  # of a full disk, PyTorch's own writer makes an error of its own without a reason
    torch.save(content, data)
    write_file(path, data.getbuffer())


def check_suffix(path: Path) -> None:
    """Fails before training starts if its result could not be saved under that name.

    Raises:
        OutputError: The suffix is none that `save_checkpoint` writes.
    """
    if path.suffix not in (".pth", ".safetensors"):
        raise OutputError(f"{path}: checkpoints are written as .pth or .safetensors; name the file so")
