"""Float32 ONNX file -> INT8 ONNX file, measured against it, and the report beside it."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from afformer.datasets import AS_THE_DATA_SET_HAS_THEM, LabelOptions
from afformer.errors import QuantizeError
from afformer.extras import requires_extra
from afformer.files import AnyPath, check_writable, replacing
from afformer.progress import Progress, no_progress
from afformer.quantize.choices import Target
from afformer.quantize.options import QuantizeOptions
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.temporary import working_folder

if TYPE_CHECKING:
    from afformer.quantize.report.data import QuantizeReport


_BESIDE = (".ranges.json", ".report.json", ".report.html")


def quantize_model(
    model: AnyPath,
    output: AnyPath,
    calibration: AnyPath,
    *,
    options: QuantizeOptions | None = None,
    val_images: AnyPath | None = None,
    val_labels: AnyPath | None = None,
    dataset: str | None = None,
    label_options: LabelOptions = AS_THE_DATA_SET_HAS_THEM,
    open_options: OpenOptions = DEFAULT,
    progress: Progress = no_progress,
) -> QuantizeReport:
    """Quantizes a float32 model to INT8 and measures accuracy and speed against it.

    Its ranges (`.ranges.json`) and the report (`.report.json` and `.report.html`) go beside `output`, whatever the
    verdict; `output` itself is written only if the verdict accepts it.

    Args:
        model: A float32 ONNX file of `export_checkpoint`.
        output: The INT8 file to write.
        calibration: Folder of pictures like those that the model will see.
        options: What the INT8 model is to be like; None takes the defaults.
        val_images: Folder of pictures to measure accuracy on; None takes the calibration pictures. One that cannot be
            used, or whose label cannot, is reported and left out.
        val_labels: Folder of their labels; None takes the float model's class maps as ground truth.
        dataset: Whose label convention to follow; None takes the model's own data set.
        label_options: What the ids in the labels mean, where they differ from that convention.
        open_options: How the models are opened, to measure accuracy as well as speed. If they name neither backend nor
            device, that is OpenVINO for the target generic, and ONNX Runtime on the CPU for the others.
        progress: Told what is being done, how much of it is done, and of how much.

    Raises:
        QuantizeError: The result loses more than allowed or is not faster than float; the model is not a float32 model;
            or the ranges file cannot be read.
        ImageError: There are no usable pictures.
        SpecError: The model has no readable spec.
        BackendError: A model cannot be opened or run.
        OutputError: A file cannot be written.
        AfformerError: A Python package is missing (OpenVINO among them, if it is to measure), or labels were given
            without pictures.
    """
    with requires_extra("quantize"):
        from afformer.quantize import report
        from afformer.quantize.steps import Job
    options = options or QuantizeOptions()
    model, output, calibration = Path(model), Path(output), Path(calibration)
    images, labels = (None if folder is None else Path(folder) for folder in (val_images, val_labels))
    for written in (output, *(output.with_suffix(suffix) for suffix in _BESIDE)):
        check_writable(written, [model])
    with working_folder(output) as folder:
        job = Job.start(model, output, options, judged_on(options.target, open_options), progress)
        validation, failures = job.validation(images, labels, dataset, label_options)
        calibrated = job.calibrate(calibration)
        candidates = job.candidates(calibrated, folder)
        evaluator = job.evaluator(validation or calibrated.validation)
        found = job.search(calibrated, candidates, evaluator)
        histograms = job.histograms(calibrated)
        made = job.report(calibrated, candidates.units.values(), evaluator.reference, found, histograms)
        made = dataclasses.replace(made, failures=failures, notes=evaluator.label_notes)
        report.write(made, job.illustrations(made, evaluator, found, histograms), output)
        if made.written:
            with replacing(output) as temporary:
                shutil.copyfile(found.candidate.path, temporary)
    if not made.written:
        raise QuantizeError(f"{made.verdict.failure()} {output} was not written.")
    return made


def judged_on(target: Target, open_options: OpenOptions) -> OpenOptions:
    """How models for a target are opened to measure them: on the engine that it is for, if none is named.

    Raises:
        QuantizeError: That engine is not installed.
    """
    if target is not Target.GENERIC or open_options.backend or open_options.device:
        return open_options
    if importlib.util.find_spec("openvino") is None:
        raise QuantizeError(
            f"`target={target.value}` is measured on OpenVINO, which is not installed; "
            'run `pip install "afformer[openvino]"`, or name in `backend` what it is to be measured on'
        )
    return dataclasses.replace(open_options, backend="openvino")
