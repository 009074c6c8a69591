"""How much of the float model's answer INT8 models keep, on pictures like those of the calibration and unlike them.

    python benchmarks/int8_fidelity.py FLOAT.onnx --images DIR --labels DIR [--int8 A.onnx ...]
        [--int8-openvino B.onnx ...] [--calibration DIR] [--each 25]

Rows: our INT8 files on ONNX Runtime and on OpenVINO; OpenVINO's bfloat16; with --calibration and NNCF installed, NNCF's
INT8 of the same float model, both presets, on as many pictures. Columns: agreement of the class maps with the float
model's on all pictures of --images, on the worst of them, the change in mIoU, and agreement on harder pictures made of
`--each` of them: at dusk, recoloured, blurred, and cut out and enlarged. The seed is fixed.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import peer_backends

from afformer import datasets
from afformer.images import ClassMap, RGBImage, read_image
from afformer.measure.machine import Machine
from afformer.measure.tables import aligned
from afformer.quantize.accuracy import Evaluator, Validation
from afformer.quantize.pictures import spread
from afformer.runtime.opening import OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.streams.sources import open_source

SEED = 15
Change = Callable[[RGBImage, np.random.Generator], RGBImage]


def at_dusk(image: RGBImage, random: np.random.Generator) -> RGBImage:
    """A third to two thirds of the light, more contrast, warmer or colder, with noise."""
    light = (image / 255.0) ** random.uniform(1.0, 1.6) * random.uniform(0.35, 0.7)
    light *= random.choice([(1.0, 0.88, 0.78), (0.8, 0.88, 1.0)])
    light += random.normal(0, random.uniform(0, 0.015), image.shape)
    return _bytes(255 * light)


def recoloured(image: RGBImage, random: np.random.Generator) -> RGBImage:
    """Another hue, saturation and white balance."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float64)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(-12, 12)) % 180
    hsv[..., 1] *= random.uniform(0.4, 1.8)
    return _bytes(cv2.cvtColor(_bytes(hsv), cv2.COLOR_HSV2RGB) * random.uniform(0.7, 1.3, 3))


def blurred(image: RGBImage, random: np.random.Generator) -> RGBImage:
    """Out of focus by one to two and a half pixels."""
    return _bytes(cv2.GaussianBlur(image, (0, 0), random.uniform(1, 2.5)))


def cut_out(image: RGBImage, random: np.random.Generator) -> RGBImage:
    """A part of 45 to 80 % of either side, anywhere."""
    height, width = image.shape[:2]
    share = random.uniform(0.45, 0.8)
    h, w = int(share * height), int(share * width)
    y, x = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
    return np.ascontiguousarray(image[y : y + h, x : x + w])


HARDER: dict[str, Change] = {"dusk": at_dusk, "recoloured": recoloured, "blurred": blurred, "cut out": cut_out}


def _bytes(values: np.ndarray) -> RGBImage:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def harder(pictures: tuple[Path, ...], each: int) -> dict[str, list[RGBImage]]:
    """Changed pictures by kind."""
    random = np.random.default_rng(SEED)
    return {
        name: [change(read_image(path), random) for path in spread(pictures, each)] for name, change in HARDER.items()
    }


class Reference:
    """The float model's answers."""

    def __init__(self, segment: Segmenter, images: Path, labels: Path, each: int) -> None:
        convention = datasets.for_model(segment.spec, None, images)
        pairs = datasets.pairs(convention, images, labels)
        pictures = tuple(path for path, _ in pairs)
        validation = Validation(pictures, tuple(label for _, label in pairs), convention)
        self.evaluator = Evaluator(validation, segment, segment.spec.num_classes)
        self.harder = harder(pictures, each)
        self.maps = {name: [segment(image).copy() for image in changed] for name, changed in self.harder.items()}

    def row(self, name: str, segment: Segmenter) -> list[str]:
        """What another model keeps of them."""
        found = self.evaluator.measure(segment)
        kept = [self._agreement(kind, segment) for kind in HARDER]
        shares = [found.agreement, found.worst_agreement, float(np.mean(kept)), *kept]
        texts = [f"{100 * share:.2f}" for share in shares]
        return [name, *texts[:2], f"{-self.evaluator.drop(found):+.2f}", *texts[2:]]

    def _agreement(self, kind: str, segment: Segmenter) -> float:
        pairs: Iterator[tuple[ClassMap, RGBImage]] = zip(self.maps[kind], self.harder[kind], strict=True)
        return float(np.mean([(segment(image) == expected).mean() for expected, image in pairs]))


def cases(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path, OpenOptions]]:
    """Name, file, and how it is opened."""
    for path in args.int8:
        yield f"{path.name} on ONNX Runtime", path, OpenOptions()
    for path in args.int8_openvino:
        yield f"{path.name} on OpenVINO", path, OpenOptions("openvino")
    yield "OpenVINO, bfloat16", args.model, OpenOptions("openvino-default")
    if args.calibration is None or importlib.util.find_spec("nncf") is None:
        print("NNCF is left out: it needs --calibration and the Python package nncf")
        return
    pictures = open_source(args.calibration).paths
    for preset in (None, "transformer"):
        path = peer_backends.nncf_model(args.model, spread(pictures, args.pictures), folder, preset)
        yield f"NNCF, {preset or 'default'} preset", path, OpenOptions("openvino-ir")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--int8", type=Path, nargs="*", default=[], help="for ONNX Runtime")
    parser.add_argument("--int8-openvino", type=Path, nargs="*", default=[], help="those of the target generic")
    parser.add_argument("--calibration", type=Path, help="pictures for NNCF")
    parser.add_argument("--pictures", type=int, default=64, help="of them")
    parser.add_argument("--each", type=int, default=25, help="harder pictures of each kind")
    args = parser.parse_args()
    print(Machine.here().to_text())
    with OpenOptions().open_segmenter(args.model) as segment:
        reference = Reference(segment, args.images, args.labels, args.each)
    head = ["model", "agreement", "worst", "mIoU", "harder", *HARDER]
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, path, how in cases(args, Path(folder)):
            with how.open_segmenter(path) as segment:
                rows.append(reference.row(name, segment))
            print(rows[-1], flush=True)
    print("\n".join(aligned([head, *rows], left=("model",))))


if __name__ == "__main__":
    main()
