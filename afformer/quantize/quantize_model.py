"""Float ONNX -> INT8 ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from afformer import datasets
from afformer.errors import AfformerError
from afformer.extras import requires_extra
from afformer.runtime.backends.registry import open_backend
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.streams.picture_files import open_pictures

if TYPE_CHECKING:
    from afformer.quantize.quantizer import Engines, QuantizeOptions
    from afformer.quantize.report import QuantizeReport


def quantize_model(
    model: Path,
    output: Path,
    calibration: Path,
    *,
    options: QuantizeOptions | None = None,
    val_images: Path | None = None,
    val_labels: Path | None = None,
    dataset: str | None = None,
    open_options: OpenOptions = DEFAULT,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> QuantizeReport:
    """Quantizes a float32 model to INT8, and measures accuracy and speed against it.

    Args:
        model: A float32 ONNX file of `export_checkpoint`.
        output: The INT8 file to write; its ranges and reports go beside it.
        calibration: Folder of pictures like those that the model will see.
        options: What the INT8 model shall be like.
        val_images: Folder of pictures to measure accuracy on; the calibration pictures if None.
        val_labels: Folder of their labels; the float model's class maps are the truth if None.
        dataset: Whose label convention to follow; None takes the model's own data set.
        open_options: How the models are opened, to measure accuracy as well as speed.
        progress: Told what is being done, how much of it is done, and of how much.

    Raises:
        AfformerError: The result is not accurate or not fast enough, or something cannot be read, run or written.
    """
    with requires_extra("quantize"):
        from afformer.quantize.accuracy import Validation
        from afformer.quantize.quantizer import QuantizeOptions, quantize
    validation = None
    if val_images and val_labels:
        with open_backend(model) as backend:
            convention = datasets.for_model(backend.spec, dataset, model)
        pairs = datasets.pairs(convention, val_images, val_labels)
        validation = Validation(tuple(p for p, _ in pairs), tuple(label for _, label in pairs), convention)
    elif val_images:
        validation = Validation(open_pictures(val_images).paths)
    elif val_labels:
        raise AfformerError("labels were given without their pictures; name the folder of pictures, too (--val-images)")
    return quantize(
        model,
        output,
        calibration,
        _engines(open_options),
        options=options or QuantizeOptions(),
        validation=validation,
        progress=progress,
    )


def _engines(how: OpenOptions) -> Engines:
    from afformer.measure.timing import Contender, race
    from afformer.quantize.options import Engines
    from afformer.runtime.preprocess import fit_picture

    device = how.device and how.device.value
    return Engines(
        lambda spec: lambda image: fit_picture(image, spec, how.fit).tensor,
        how.open_segmenter,
        lambda models, seen: race([Contender(m, how.backend, how.threads, device) for m in models], seen=seen),
    )
