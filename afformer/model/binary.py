"""A one-channel head, made for a sigmoid and a threshold, as a classifier of two classes that argmax decides.

Let x be the logit and t = log(p / (1 - p)) the logit of the threshold p. Foreground means sigmoid(x) > p, that is
x > t. The two logits -(x - t) / 2 and (x - t) / 2 say the same: the second is the larger one where x > t, and on a tie
argmax gives the first, the background. Both are linear in x, so the classifier's weights take the halves; and as
bilinear interpolation is linear, too, it does not matter that argmax comes after it. Neither channel is dead, so INT8
has a scale for both, and softmax of the two is sigmoid(x - t).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, cat

from afformer.model.config_text import Config, entries

_WEIGHT, _BIAS = "head.classify.weight", "head.classify.bias"
_USUAL = 0.5
_MMSEG_DEFAULT = 0.3


def two_classes(state: Mapping[str, Tensor], threshold: float) -> dict[str, Tensor]:
    """The state with a classifier of two channels, background and foreground, instead of one."""
    t = math.log(threshold / (1 - threshold))
    half_weight, half_bias = state[_WEIGHT] / 2, (state[_BIAS] - t) / 2
    return {**state, _WEIGHT: cat([-half_weight, half_weight]), _BIAS: cat([-half_bias, half_bias])}


def threshold_of(config: Config, given: float | None) -> tuple[float, str]:
    """The threshold of a one-channel head, and where it is from."""
    if given is not None:
        return given, "as `threshold` says"
    for place, found in config.found.items():
        for entry in entries(found):
            if not entry.path or entry.path[-1] != "decode_head":
                continue
            said: Any = entry.values.get("threshold")
            if isinstance(said, (int, float)) and 0 < said < 1:
                return float(said), f"as {place} says"
            if entry.values.get("out_channels") == 1:
                return _MMSEG_DEFAULT, f"mmseg's own, as {place} says none; `threshold` changes it"
    return _USUAL, "assumed; `threshold` changes it"
