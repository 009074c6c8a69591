"""Does one bilinear step from the logits to the picture lose anything against the official two?

    python benchmarks/bilinear_steps.py MODEL.onnx --images DIR --labels DIR

The official code resizes logits to the network's input and then to the picture; this package takes one step. Give a
model whose input size is not the pictures' size, else the two are the same. Prints mIoU of both and how far they agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer import Segmenter, datasets
from afformer.images import read_image, read_label
from afformer.measure.metrics import ConfusionMatrix
from afformer.runtime.postprocess import classmap_from_logits


def in_two_steps(
    logits: npt.NDArray[np.float32], input_hw: tuple[int, int], image_hw: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Logits `(C, h, w)` -> `(C, H, W)` at the input size -> at the picture's size -> class map."""
    planes = [cv2.resize(plane, input_hw[::-1], interpolation=cv2.INTER_LINEAR) for plane in logits]
    planes = [cv2.resize(plane, image_hw[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes]
    return np.asarray(np.argmax(planes, axis=0), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    args = parser.parse_args()
    with Segmenter(args.model) as segmenter:
        spec = segmenter.spec
        dataset = datasets.by_name(spec.dataset)
        one, two = ConfusionMatrix(spec.num_classes), ConfusionMatrix(spec.num_classes)
        between = ConfusionMatrix(spec.num_classes, ignore=None)
        for picture, label in datasets.pairs(dataset, args.images, args.labels):
            image, truth = read_image(picture), dataset.train_ids(read_label(label), label)
            logits = segmenter.logits(image)
            a = classmap_from_logits(logits, image.shape[:2])
            b = in_two_steps(logits, spec.input_hw, image.shape[:2])
            one.add(truth, a)
            two.add(truth, b)
            between.add(b, a)
    print(f"one step: mIoU {one.miou:.5f}; two steps: mIoU {two.miou:.5f}; same class on {between.pixel_accuracy:.3%}")


if __name__ == "__main__":
    main()
