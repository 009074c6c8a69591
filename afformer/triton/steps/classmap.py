"""From the network's output to a class map of the picture's size, in Triton's Python backend."""

from __future__ import annotations

import json
from typing import Any

import triton_python_backend_utils as triton

from afformer.runtime.backends.base import output_tensor
from afformer.runtime.postprocess import classmap_from_logits, resize_classmap
from afformer.spec import METADATA_KEY, ModelSpec, OutputKind


class TritonPythonModel:
    """What Triton calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the network's spec, which is in the configuration."""
        said = json.loads(args["model_config"])["parameters"]
        self._spec = ModelSpec.from_json(said[METADATA_KEY]["string_value"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers requests."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        spec = self._spec
        (output,) = triton.get_input_tensor_by_name(request, output_tensor(spec).name).as_numpy()
        covered = triton.get_input_tensor_by_name(request, "covered").as_numpy().tolist()
        image_hw, (height, width) = (covered[0], covered[1]), covered[2:]
        if spec.output is OutputKind.LOGITS:
            (rows, cols), (input_h, input_w) = spec.logits_hw, spec.input_hw
            classmap = classmap_from_logits(output, image_hw, (height / input_h * rows, width / input_w * cols))
        else:
            classmap = resize_classmap(output[:height, :width], image_hw)
        return triton.InferenceResponse(output_tensors=[triton.Tensor("classes", classmap)])
