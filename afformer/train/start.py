"""What a run starts from: random weights, or those of a checkpoint."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from afformer.errors import AfformerError, CheckpointError
from afformer.model.checkpoint import Checkpoint, load_checkpoint
from afformer.model.network import VARIANTS, AFFormer
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, Channels, ColorOrder
from afformer.train.options import TrainOptions

_CLASSIFIER = "head.classify."
_FIRST = "stem.0.conv.weight"


@dataclasses.dataclass(frozen=True)
class Start:
    """A network before its first step.

    Attributes:
        network: On the CPU.
        mean: Mean by channel that its pictures are normalised with, 0..255 scale.
        std: Standard deviation by channel, likewise.
        origin: Where the weights are from, for people.
    """

    network: AFFormer
    mean: Channels
    std: Channels
    origin: str


def start(options: TrainOptions, classes: tuple[str, ...]) -> Start:
    """Makes the network that `options` describe; random weights come from PyTorch's generator.

    Of a checkpoint of other classes all but the classifier is taken.

    Raises:
        AfformerError: There is no such variant, or `init` cannot be read or is of another one.
    """
    if options.variant not in VARIANTS:
        raise AfformerError(f"`variant` must be {', '.join(VARIANTS)}, got {options.variant}")
    config = dataclasses.replace(VARIANTS[options.variant], drop_path=options.drop_path)
    network = AFFormer(config, len(classes))
    if options.init is None:
        return Start(network, IMAGENET_MEAN, IMAGENET_STD, "random weights")
    checkpoint = load_checkpoint(options.init)
    if checkpoint.config.name != options.variant:
        raise CheckpointError(
            f"{options.init}: is AFFormer-{checkpoint.config.name}, but AFFormer-{options.variant} was asked for; "
            f"choose `variant={checkpoint.config.name}`"
        )
    same = checkpoint.num_classes == len(classes) and checkpoint.classes in (None, classes)
    network.load_state_dict(
        {name: tensor for name, tensor in _of_rgb(checkpoint).items() if same or not name.startswith(_CLASSIFIER)},
        strict=False,  # load_checkpoint has accounted for every key
    )
    origin = str(options.init) + ("" if same else ", with a new classifier")
    step = 1 if checkpoint.normalisation.order is ColorOrder.RGB else -1
    return Start(network, checkpoint.mean[::step], checkpoint.std[::step], origin)  # type: ignore[arg-type]


def _of_rgb(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The weights for pictures of RGB, which are what is trained on; of a BGR network the first kernels are turned."""
    if checkpoint.normalisation.order is ColorOrder.RGB:
        return checkpoint.state
    return {**checkpoint.state, _FIRST: checkpoint.state[_FIRST].flip(1)}
