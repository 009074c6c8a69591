"""The validation split, segmented as a user would: whole pictures at their own size, one bilinear step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows

from afformer.datasets import Dataset
from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.measure.evaluation import evaluate_segmenter
from afformer.measure.results import Evaluation
from afformer.model.network import AFFormer
from afformer.train.folders import Pair
from afformer.train.normalise import Normalise


def validate(network: AFFormer, normalise: Normalise, pairs: Sequence[Pair], dataset: Dataset) -> Evaluation:
    """Measures a network that is in evaluation mode, on the device that it is on.

    Raises:
        ImageError: A picture or a label cannot be used.
    """
    device = next(network.parameters()).device

    @torch.inference_mode()
    def segment(image: RGBImage) -> ClassMap:
        pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None]  # (1, 3, H, W)
        full = F.interpolate(network(normalise(pixels)), image.shape[:2], mode="bilinear", align_corners=False)
        classmap: ClassMap = full.argmax(1)[0].to(torch.int32).cpu().numpy()
        return classmap

    found = evaluate_segmenter(segment, pairs, dataset)
    for failure in found.failures:
        raise ImageError(failure.reason)
    return found
