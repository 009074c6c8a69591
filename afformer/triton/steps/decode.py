"""From a picture's file to the network's input, in Triton's Python backend."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from afformer.errors import AfformerError
from afformer.images import decode_image
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import fit_picture
from afformer.spec import METADATA_KEY, ModelSpec


class TritonPythonModel:
    """What Triton calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the network's spec, which is in the configuration."""
        said = json.loads(args["model_config"])["parameters"]
        self._spec = ModelSpec.from_json(said[METADATA_KEY]["string_value"])
        self._fit = Fit(said["fit"]["string_value"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers requests; a picture that cannot be read is an error of its request alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        (data,) = triton.get_input_tensor_by_name(request, "picture").as_numpy().ravel()
        try:
            image = decode_image(data, "the picture")
        except AfformerError as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        fitted = fit_picture(image, self._spec, self._fit)
        covered = np.array([*fitted.image_hw, *fitted.covered_hw], np.int32)
        tensors = [
            triton.Tensor(input_tensor(self._spec).name, fitted.tensor[None]),
            triton.Tensor("covered", covered),
        ]
        return triton.InferenceResponse(output_tensors=tensors)
