"""Configurations of Triton's models, from specs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from afformer.runtime.backends.base import TensorInfo, input_tensor, output_tensor
from afformer.runtime.choices import Device, Fit
from afformer.serve.tensors import DATATYPES
from afformer.spec import METADATA_KEY, ModelSpec
from afformer.triton.protobuf_text import Value, Word

LABELS = "labels.txt"
FIT_PARAMETER = "fit"

Config = dict[str, Value]
"""Fields of Triton's message `ModelConfig`, in order."""


@dataclasses.dataclass(frozen=True)
class Instances:
    """How a model runs.

    Attributes:
        device: Where.
        count: Copies of the model.
        threads: CPU threads of each copy; 0 leaves the choice to the engine.
        max_batch: Pictures that Triton gathers into one call; 0 for a model whose batch is fixed.
        max_wait_us: Microseconds that a request waits for others.
    """

    device: Device = Device.CPU
    count: int = 1
    threads: int = 0
    max_batch: int = 0
    max_wait_us: int = 2000

    @property
    def group(self) -> list[Value]:
        """The field `instance_group`."""
        kind = "KIND_GPU" if self.device is Device.CUDA else "KIND_CPU"
        return [{"count": self.count, "kind": Word(kind)}]


def network_config(name: str, spec: ModelSpec, platform: str, instances: Instances) -> Config:
    """Of a model file; `platform` is Triton's name of what runs it."""
    batched = instances.max_batch > 0
    image, output = input_tensor(spec), output_tensor(spec)
    config: Config = {
        "name": name,
        "platform": platform,
        "max_batch_size": instances.max_batch,
        "input": [_tensor(image, batched)],
        "output": [{**_tensor(output, batched), "label_filename": LABELS}],
        "instance_group": instances.group,
        "model_warmup": [_warmup(image, batched)],
        "parameters": [parameter(METADATA_KEY, spec.to_json())],
    }
    if batched:
        config["dynamic_batching"] = {"max_queue_delay_microseconds": instances.max_wait_us}
    if instances.threads and platform == "onnxruntime_onnx":
        config["parameters"] = [
            parameter(METADATA_KEY, spec.to_json()),
            parameter("intra_op_thread_count", str(instances.threads)),
        ]
    return config


def decode_config(name: str, spec: ModelSpec, fit: Fit, instances: Instances) -> Config:
    """Of the step from a picture's file to the network's input."""
    image = _tensor(input_tensor(spec), batched=False)
    return {
        **_step(name, spec, fit, instances),
        "input": [{"name": "picture", "data_type": Word("TYPE_STRING"), "dims": [1]}],
        "output": [image, _COVERED],
    }


def classmap_config(name: str, spec: ModelSpec, fit: Fit, instances: Instances) -> Config:
    """Of the step from the network's output to a class map of the picture's size."""
    return {
        **_step(name, spec, fit, instances),
        "input": [_tensor(output_tensor(spec), batched=False), _COVERED],
        "output": [_classmap(spec)],
    }


def ensemble_config(name: str, spec: ModelSpec, network: str, decode: str, classmap: str) -> Config:
    """Of the whole: a picture's file in, a class map of its size out."""
    image, output = input_tensor(spec).name, output_tensor(spec).name
    return {
        "name": name,
        "platform": "ensemble",
        "max_batch_size": 0,
        "input": [{"name": "picture", "data_type": Word("TYPE_STRING"), "dims": [1]}],
        "output": [{**_classmap(spec), "label_filename": LABELS}],
        "ensemble_scheduling": {
            "step": [
                _ensemble_step(decode, {"picture": "picture"}, {image: "image", "covered": "covered"}),
                _ensemble_step(network, {image: "image"}, {output: "answer"}),
                _ensemble_step(classmap, {output: "answer", "covered": "covered"}, {"classes": "classes"}),
            ]
        },
        "parameters": [parameter(METADATA_KEY, spec.to_json())],
    }


def parameter(key: str, value: str) -> Config:
    """An entry of the field `parameters`."""
    return {"key": key, "value": {"string_value": value}}


_COVERED: Config = {"name": "covered", "data_type": Word("TYPE_INT32"), "dims": [4]}
"""Height and width of the picture, and of the part of the network's input that it covers."""


def _step(name: str, spec: ModelSpec, fit: Fit, instances: Instances) -> Config:
    return {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "instance_group": dataclasses.replace(instances, device=Device.CPU).group,
        "parameters": [parameter(METADATA_KEY, spec.to_json()), parameter(FIT_PARAMETER, fit.value)],
    }


def _classmap(spec: ModelSpec) -> Config:
    kind = "TYPE_UINT8" if spec.num_classes <= 256 else "TYPE_INT32"
    return {"name": "classes", "data_type": Word(kind), "dims": [-1, -1]}


def _ensemble_step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> Config:
    return {
        "model_name": model,
        "model_version": -1,
        "input_map": [{"key": key, "value": value} for key, value in inputs.items()],
        "output_map": [{"key": key, "value": value} for key, value in outputs.items()],
    }


def _tensor(tensor: TensorInfo, batched: bool) -> Config:
    return {"name": tensor.name, "data_type": _type(tensor), "dims": _dims(tensor, batched)}


def _warmup(image: TensorInfo, batched: bool) -> Config:
    zeros: Config = {"data_type": _type(image), "dims": _dims(image, batched), "zero_data": True}
    return {"name": "zeros", "batch_size": 1, "inputs": [{"key": image.name, "value": zeros}]}


def _type(tensor: TensorInfo) -> Word:
    return Word(f"TYPE_{DATATYPES[tensor.dtype.name]}")


def _dims(tensor: TensorInfo, batched: bool) -> Sequence[int]:
    return list(tensor.shape[1:] if batched else tensor.shape)
