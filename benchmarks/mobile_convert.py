"""Converts the network for ncnn, MNN and LiteRT. `peers.py` calls each conversion in a process of its own: they crash.

    python mobile_convert.py CONVERSION SOURCE OUT [--pictures PICTURE ...]

SOURCE is an exported ONNX file; for `litert-ours` and `litert-plain` a checkpoint, since LiteRT converts PyTorch's
networks: our static one, and the reference. The int8 conversions start from what the float ones wrote, and
take pictures to calibrate on. OUT gets a JSON file with the spec beside it, and has been run once when this ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import mobile_backends
import numpy as np

from afformer.errors import AfformerError, BackendError
from afformer.images import read_image
from afformer.onnx_file import read_onnx_file
from afformer.runtime import open_backend
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.preprocess import fit_picture
from afformer.spec import ModelSpec

Pictures = Sequence[Path]


def ncnn(source: Path, out: Path, _: Pictures) -> ModelSpec:
    """pnnx: ONNX -> ncnn."""
    spec = read_onnx_file(source)[1]
    shape = ",".join(map(str, input_tensor(spec).shape))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(source, Path(folder) / "model.onnx"))
        command: list[str | Path] = [Path(sys.executable).with_name("pnnx"), copy.name]
        command += [f"inputshape=[{shape}]f32", "fp16=0"]
        subprocess.run(command, cwd=folder, check=True)
        shutil.move(copy.with_suffix(".ncnn.param"), out)
        shutil.move(copy.with_suffix(".ncnn.bin"), out.with_suffix(".bin"))
    return spec


def mnn(source: Path, out: Path, _: Pictures) -> ModelSpec:
    """ONNX -> MNN.

    What MNN's own command `mnnconvert` calls, without the command: that one also runs `pip install` and reports what
    was converted to its maker.
    """
    import _tools
    import MNN  # noqa: F401 - _tools needs it

    arguments = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(out), "--bizCode", "peers"]
    _tools.mnnconvert(["mnnconvert", *arguments])
    return read_onnx_file(source)[1]


def mnn_int8(source: Path, out: Path, pictures: Pictures) -> ModelSpec:
    """MNN's offline quantizer, Kullback-Leibler ranges; it reads and resizes the pictures itself."""
    import _tools
    import MNN  # noqa: F401 - _tools needs it

    spec = mobile_backends.spec_beside(source)
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "pictures"
        shown.mkdir()
        for picture in pictures:
            shutil.copy(picture, shown)
        settings = {
            "format": spec.color_order.value.upper(),
            "mean": spec.mean,
            "normal": [1 / std for std in spec.std],
            "height": spec.input_hw[0],
            "width": spec.input_hw[1],
            "path": f"{shown}/",
            "used_image_num": len(pictures),
            "feature_quantize_method": "KL",
            "weight_quantize_method": "MAX_ABS",
        }
        config = Path(folder) / "config.json"
        config.write_text(json.dumps(settings))
        _tools.mnnquant(["mnnquant", str(source), str(out), str(config)])
    return spec


def litert(source: Path, out: Path, hw: tuple[int, int], *, ours: bool) -> ModelSpec:
    """litert-torch: a PyTorch network -> LiteRT."""
    import litert_torch
    import torch

    from afformer.export.static import StaticAFFormer
    from afformer.model.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(source)
    network, spec = checkpoint.build(), checkpoint.spec(hw)
    example = (torch.zeros(input_tensor(spec).shape),)
    litert_torch.convert(StaticAFFormer(network, hw) if ours else network.eval(), example).export(str(out))
    return spec


def litert_int8(source: Path, out: Path, pictures: Pictures, recipe_name: str) -> ModelSpec:
    """LiteRT's quantizer."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    spec = mobile_backends.spec_beside(source)
    ((signature, tensors),) = Interpreter(str(source)).get_signature_list().items()
    made = quantizer.Quantizer(str(source))
    made.load_quantization_recipe(getattr(recipe, recipe_name)())
    feeds = [{tensors["inputs"][0]: fit_picture(read_image(picture), spec).tensor[None]} for picture in pictures]
    ranges = made.calibrate({signature: feeds}) if made.need_calibration else None
    out.write_bytes(made.quantize(ranges).quantized_model)
    return spec


CONVERSIONS: dict[str, tuple[str, Callable[[Path, Path, Pictures, tuple[int, int]], ModelSpec]]] = {
    "ncnn": (mobile_backends.NCNN, lambda source, out, pictures, _: ncnn(source, out, pictures)),
    "mnn": (mobile_backends.MNN, lambda source, out, pictures, _: mnn(source, out, pictures)),
    "mnn-int8": (mobile_backends.MNN, lambda source, out, pictures, _: mnn_int8(source, out, pictures)),
    "litert-ours": (mobile_backends.LITERT, lambda source, out, _, hw: litert(source, out, hw, ours=True)),
    "litert-plain": (mobile_backends.LITERT, lambda source, out, _, hw: litert(source, out, hw, ours=False)),
    "litert-int8": (
        mobile_backends.LITERT,
        lambda source, out, pictures, _: litert_int8(source, out, pictures, "static_wi8_ai8"),
    ),
    "litert-int8-dynamic": (
        mobile_backends.LITERT,
        lambda source, out, pictures, _: litert_int8(source, out, pictures, "dynamic_wi8_afp32"),
    ),
}
"""The backend that runs the result, and what makes it of a source, an output, pictures and an input size."""


def convert_and_run(args: argparse.Namespace) -> None:
    """One conversion, and one call of what it wrote.

    Raises:
        BackendError: The converter wrote nothing, or what the engine does not load or run.
    """
    backend, convert = CONVERSIONS[args.conversion]
    spec = convert(args.source, args.out, args.pictures, tuple(args.size or ()))
    if not args.out.exists():
        raise BackendError(f"the converter wrote no {args.out.name}")
    args.out.with_suffix(".json").write_text(spec.to_json())
    with open_backend(args.out, backend, threads=1) as opened:
        opened.run(np.zeros(input_tensor(spec).shape, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("conversion", choices=CONVERSIONS)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, nargs=2, help="height and width, of a checkpoint")
    parser.add_argument("--pictures", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    try:
        convert_and_run(args)
    except AfformerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
