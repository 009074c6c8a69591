"""One training step: changes, network, loss, optimiser and averaged weights; on CUDA all of it is one graph."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from afformer.model.compiler_folder import without_compiler_folder
from afformer.model.network import AFFormer
from afformer.train.augmentation import Augmentation
from afformer.train.loss import SegmentationLoss
from afformer.train.normalise import Normalise
from afformer.train.options import TrainOptions
from afformer.train.pictures import Batch

WARM_UP = 0.04
"""Share of a run in which the learning rate rises."""
LOWEST = 1e-3
"""Share of the peak learning rate that is left at the end."""
CLIP = 5.0
"""Norm that gradients are cut at."""
_EAGER_STEPS = 3
"""Steps before a CUDA graph is recorded, in which libraries choose and load their kernels."""


def rate(share: float) -> float:
    """The learning rate as a share of its peak, at a share 0..1 of the run: a linear warm-up, then half a cosine."""
    if share < WARM_UP:
        return share / WARM_UP + LOWEST
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - WARM_UP) / (1 - WARM_UP)))) + LOWEST


class Trainer:
    """A network in training, its average, and the optimiser's state.

    Everything that a step needs lies in tensors that stay where they are, because a CUDA graph repeats the same work on
    the same memory.

    Args:
        network: On the device that it is trained on.
        augment: How batches are changed.
        normalise: What the network wants of a picture.
        loss: What is minimised.
        options: Learning rate, decay, averaging, precision.
        batch: A batch like all others; its tensors are written to from now on.

    Attributes:
        average: The averaged network, in evaluation mode.
        lost: Scalar on the device: sum of the losses since it was last set to 0.
    """

    def __init__(
        self,
        network: AFFormer,
        *,
        augment: Augmentation,
        normalise: Normalise,
        loss: SegmentationLoss,
        options: TrainOptions,
        batch: Batch,
    ) -> None:
        self.network, self.average = network.train(), copy.deepcopy(network).eval()
        self.device = next(network.parameters()).device
        self._cuda = self.device.type == "cuda"
        self._augment, self._normalise, self._loss = (part.to(self.device) for part in (augment, normalise, loss))
        self._options, self._batch = options, batch
        self._bfloat16 = self._cuda if options.bfloat16 is None else options.bfloat16
        self._rate, self._keep, self.lost = (torch.zeros((), device=self.device) for _ in range(3))
        self._optimizer = _optimizer(network, options.weight_decay, self._rate, self._cuda)
        self._floats = _floats(self.average), _floats(network)
        self._begin()
        self._graph = self._recorded() if self._cuda else None

    def step(self, batch: Batch, number: int, share: float) -> None:
        """Takes one step.

        Args:
            batch: What to learn from.
            number: Steps before this one in the whole run.
            share: How much of the run is over, 0..1.
        """
        for mine, given in zip(self._batch, batch, strict=True):
            mine.copy_(given, non_blocking=True)
        self._rate.fill_(self._options.lr * rate(share))
        # young averages follow faster: they would hold on to random weights
        self._keep.fill_(min(self._options.averaging, (1 + number) / (10 + number)))
        self._graph.replay() if self._graph else self._work()

    def state(self) -> dict[str, Tensor]:
        """Everything that a run needs to go on, by name."""
        random = {"random.cpu": torch.get_rng_state()}
        if self._cuda:
            random["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return self._lasting() | random

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes up what `state` gave, in place.

        Raises:
            RuntimeError: The states of the random numbers are none.
        """
        for name, tensor in self._lasting().items():
            tensor.copy_(state[name])
        torch.set_rng_state(state["random.cpu"])
        if self._cuda:
            torch.cuda.set_rng_state(state["random.cuda"], self.device)

    def _lasting(self) -> dict[str, Tensor]:
        """The tensors that every step changes, themselves and not copies."""
        states = [self._optimizer.state[parameter] for parameter in self.network.parameters()]
        parts = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        parts |= {f"optimizer.{index}": state for index, state in enumerate(states)}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def _work(self) -> None:
        with torch.no_grad():
            images, labels = self._augment(self._batch)
            images = self._normalise(images)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = self.network(images)
        loss = self._loss(logits, labels)
        self._optimizer.zero_grad(set_to_none=False)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP, foreach=True)
        self._optimizer.step()
        with torch.no_grad():
            self.lost.add_(loss.detach())
            averages, currents = self._floats
            torch._foreach_mul_(averages, self._keep)
            torch._foreach_add_(averages, torch._foreach_mul(currents, 1 - self._keep))

    def _begin(self) -> None:
        """Makes the optimiser's state, which PyTorch makes in its first step, as it is before that step: all zeros."""
        for parameter in self.network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self._optimizer.step()  # with a rate of 0
        self._clear_optimizer()

    def _clear_optimizer(self) -> None:
        for state in self._optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()

    def _recorded(self) -> torch.cuda.CUDAGraph:
        """Records a step, and leaves everything as it was before."""
        before = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
            with torch.cuda.stream(stream):
                for _ in range(_EAGER_STEPS):
                    self._work()
            torch.cuda.current_stream(self.device).wait_stream(stream)
            with torch.cuda.graph(graph):
                self._work()
        self.network.load_state_dict(before)
        self.average.load_state_dict(before)
        self._clear_optimizer()
        self.lost.zero_()
        return graph


def _optimizer(network: AFFormer, decay: float, lr: Tensor, cuda: bool) -> torch.optim.AdamW:
    """AdamW; norms and biases do not decay."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    with without_compiler_folder():
        return torch.optim.AdamW(groups, lr, fused=True, capturable=cuda)


def _floats(network: AFFormer) -> list[Tensor]:
    """Weights and batch statistics, without the counters."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
