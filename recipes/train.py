#!/usr/bin/env python3
"""Trains an AFFormer from random weights on DATA/{train,val}/{images,labels}; see README.md beside this file."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows
from augmentation import Augmentation, Pictures, batches
from torch import Tensor
from torch.utils.data import DataLoader

from afformer import datasets
from afformer.errors import AfformerError, BackendError
from afformer.files import check_writable, replacing
from afformer.images import ClassMap, RGBImage
from afformer.measure.evaluation import Evaluation, evaluate_segmenter
from afformer.model.checkpoint import save_checkpoint
from afformer.model.network import VARIANTS, AFFormer
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD

DROP_PATH = 0.1
WEIGHT_DECAY = 0.03
EMA_DECAY = 0.998
WARM_UP = 0.03  # share of all steps in which the learning rate rises


def normalised(images: Tensor, device: torch.device) -> Tensor:
    """`(n, 3, H, W)` uint8 RGB -> float32 on the device, as the network wants it."""
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.to(device, torch.float32, non_blocking=True) - mean) / std


def optimizer_of(network: AFFormer, lr: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW; norms and biases do not decay."""
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter in network.parameters():
        groups[parameter.dim() > 1].append(parameter)
    decays: list[dict[str, Any]] = [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]
    return torch.optim.AdamW(decays, lr, weight_decay=WEIGHT_DECAY, fused=device.type == "cuda")


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to zero; times the peak learning rate."""
    warm = max(1, round(WARM_UP * steps))
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run consists of, and its files: the output, and beside it (.resume) what is needed to go on."""

    options: argparse.Namespace
    network: AFFormer
    ema: AFFormer
    optimizer: torch.optim.AdamW

    def _setting(self) -> dict[str, Any]:
        free = ("data", "output", "device", "workers", "every", "stop_after")
        return {name: str(value) for name, value in vars(self.options).items() if name not in free}

    def save(self, epoch: int, dataset: datasets.Dataset) -> None:
        """Writes the averaged network, and the state after `epoch` epochs."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "ema", "optimizer")}
        with replacing(self.options.output.with_suffix(".resume")) as path:
            torch.save({"setting": self._setting(), "epoch": epoch, **parts}, path)
        if self.options.output.suffix == ".safetensors":
            save_checkpoint(self.options.output, self.ema, dataset.classes, dataset.palette)
        else:
            meta = {"CLASSES": dataset.classes, "PALETTE": [list(c) for c in dataset.palette], "epoch": epoch}
            with replacing(self.options.output) as path:
                torch.save({"meta": meta, "state_dict": parts["ema"]}, path)

    def restore(self) -> int:
        """Takes up the state of an earlier run, if there is one; returns how many epochs are done."""
        path: Path = self.options.output.with_suffix(".resume")
        if not path.exists():
            return 0
        saved = torch.load(path, map_location=self.options.device, weights_only=True)
        if saved["setting"] != self._setting():
            raise AfformerError(f"{path}: is of a run with other options; delete it, or use {saved['setting']}")
        for name in ("network", "ema", "optimizer"):
            getattr(self, name).load_state_dict(saved[name])
        return int(saved["epoch"])


@torch.no_grad()
def average(ema: AFFormer, network: AFFormer, step: int) -> None:
    """Moves the averaged weights and batch statistics towards the network's; faster in the beginning."""
    amount = 1 - min(EMA_DECAY, (1 + step) / (10 + step))
    old, new = ema.state_dict(), network.state_dict()
    floats = [name for name, tensor in old.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([old[name] for name in floats], [new[name] for name in floats], amount)


def validate(network: AFFormer, dataset: datasets.Dataset, folder: Path, device: torch.device) -> Evaluation:
    """Whole pictures at their own size, logits resized bilinearly."""
    network.eval()

    @torch.inference_mode()
    def segment(image: RGBImage) -> ClassMap:
        logits = network(normalised(torch.from_numpy(image).permute(2, 0, 1)[None], device))
        full = F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
        classmap: ClassMap = full.argmax(1)[0].to(torch.uint8).cpu().numpy()
        return classmap

    found = evaluate_segmenter(segment, datasets.pairs(dataset, folder / "images", folder / "labels"), dataset)
    if found.failures:
        raise AfformerError(found.failures[0].reason)
    return found


def train(options: argparse.Namespace) -> None:
    """Trains, saves and validates; goes on where an earlier run with the same output stopped."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise BackendError("--device cuda: PyTorch finds no CUDA device here; use --device cpu or a machine with a GPU")
    check_writable(options.output)
    device, dataset = torch.device(options.device), datasets.by_name(options.dataset)
    data = Pictures(dataset, options.data / "train", Augmentation(options.crop, options.scale), options.seed)
    count = len(data) // options.batch
    if count == 0:
        raise AfformerError(f"{options.data / 'train'}: {len(data)} pictures do not fill a batch of {options.batch}")
    weights = data.class_weights(dataset.num_classes).to(device)
    torch.manual_seed(options.seed)
    config = dataclasses.replace(VARIANTS[options.variant], drop_path=DROP_PATH)
    network = AFFormer(config, dataset.num_classes).to(device)
    run = Run(options, network, copy.deepcopy(network), optimizer_of(network, options.lr, device))
    first, last = run.restore(), min(options.stop_after or options.epochs, options.epochs)
    order = batches(len(data), options.batch, range(first, last), options.seed)
    loader = iter(DataLoader(data, batch_sampler=order, num_workers=options.workers, pin_memory=device.type == "cuda"))
    for epoch in range(first, last):
        torch.manual_seed(options.seed + epoch)  # for dropout and drop path; a resumed run repeats them
        start, total = time.perf_counter(), torch.zeros((), device=device)
        network.train()
        for step in range(epoch * count, (epoch + 1) * count):
            images, labels = next(loader)
            for group in run.optimizer.param_groups:
                group["lr"] = options.lr * rate(step, options.epochs * count)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.amp):
                logits = network(normalised(images, device))
            full = F.interpolate(logits.float(), labels.shape[1:], mode="bilinear", align_corners=False)
            loss = F.cross_entropy(full, labels.to(device).long(), weights, ignore_index=datasets.IGNORE)
            run.optimizer.zero_grad()
            loss.backward()
            run.optimizer.step()
            average(run.ema, network, step)
            total += loss.detach()
        line = f"epoch {epoch + 1}/{options.epochs}  loss {float(total) / count:.4f}"
        if not torch.isfinite(total):
            raise AfformerError(f"{line}: training diverged; use a lower --lr")
        if (epoch + 1) % options.every == 0 or epoch + 1 == last:
            run.save(epoch + 1, dataset)
            found = validate(run.ema, dataset, options.data / "val", device)
            line += f"  val mIoU {100 * found.miou:.2f}  pixel accuracy {100 * found.pixel_accuracy:.2f}"
        print(f"{line}  {time.perf_counter() - start:.1f} s", flush=True)


def size(text: str) -> tuple[int, int]:
    """`360x480` -> (360, 480)."""
    height, width = text.lower().split("x")
    return int(height), int(width)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("data", type=Path, help="folder with train/{images,labels} and val/{images,labels}")
    add("output", type=Path, help="checkpoint to write: .pth, or .safetensors with float16 weights")
    add("--dataset", default="camvid", help="label convention: " + ", ".join(datasets.DATASETS))
    add("--variant", choices=list(VARIANTS), default="tiny")
    add("--epochs", type=int, default=400)
    add("--batch", type=int, default=8)
    add("--crop", type=size, default=(360, 480), metavar="HxW")
    add("--scale", type=float, nargs=2, default=(0.5, 2.0), metavar=("MIN", "MAX"), help="before the crop")
    add("--lr", type=float, default=1.5e-3)
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--amp", action="store_true", help="bfloat16 where it is safe")
    add("--workers", type=int, default=2, help="processes that prepare pictures")
    add("--every", type=int, default=10, help="epochs between saving and validating")
    add("--stop-after", type=int, metavar="EPOCH", help="stop there; the same command without this goes on")
    add("--seed", type=int, default=0)
    try:
        train(parser.parse_args(arguments))
    except AfformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
