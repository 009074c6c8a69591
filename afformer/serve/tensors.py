"""Inference requests and responses of the Open Inference Protocol v2: JSON, then raw tensors.

A request is a JSON object; behind its `Inference-Header-Content-Length` bytes lie the tensors whose
`parameters.binary_data_size` says how long they are, little-endian and row-major. Responses look the same. A request
without JSON, whose header says 0, is nothing but the input's bytes, and its output is binary.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NoReturn

import numpy as np

from afformer.runtime.backends.base import Array, input_tensor, output_tensor
from afformer.serve.refusal import Refusal
from afformer.spec import ModelSpec

DATATYPES = {"uint8": "UINT8", "int32": "INT32", "float32": "FP32"}
"""Names of our tensors' types in the protocol."""
LENGTH_HEADER = "Inference-Header-Content-Length"
_DEPTH = 8
"""How deeply arrays of numbers may be nested."""
_NUMBERS = {"u": "iu", "i": "iu", "f": "iuf"}
"""Kinds of JSON numbers that a tensor of a kind can be made of."""


@dataclasses.dataclass(frozen=True)
class Inference:
    """A request, checked against the model.

    Attributes:
        rows: `(n, ...)` rows of the model's input tensor.
        id: What the client calls the request; None if it does not.
        binary: Whether the output goes behind the JSON.
        timeout_s: Seconds that the client waits; None leaves it to the server.
    """

    rows: Array
    id: str | None
    binary: bool
    timeout_s: float | None


def parse_inference(body: bytes, json_length: str | None, spec: ModelSpec, model: str) -> Inference:
    """Reads a request.

    Args:
        body: JSON and tensors.
        json_length: `Inference-Header-Content-Length`; None if all is JSON.
        spec: The model's.
        model: Its name, for errors.

    Raises:
        Refusal: 400.
    """
    text, tensors = _split(body, json_length)
    if json_length is not None and not text:
        return _raw(tensors, spec)
    request = _object(_load(text), "the request")
    parameters = _object(request.get("parameters", {}), "'parameters'")
    return Inference(
        rows=_input_rows(request, tensors, spec, model),
        id=_id(request),
        binary=_wants_binary(request, parameters, output_tensor(spec).name, model),
        timeout_s=_timeout(parameters),
    )


def write_inference(rows: Array, spec: ModelSpec, inference: Inference, head: dict[str, str]) -> tuple[bytes, int]:
    """Writes a response.

    Args:
        rows: `(n, ...)` rows of the model's output tensor.
        spec: The model's.
        inference: The request.
        head: `model_name` and `model_version`.

    Returns:
        The body, and the length of its JSON if raw data follows, else 0.

    Raises:
        Refusal: 400, numbers that JSON does not have.
    """
    name, _, dtype = output_tensor(spec)
    output: dict[str, Any] = {"name": name, "datatype": DATATYPES[dtype.name], "shape": list(rows.shape)}
    response: dict[str, Any] = {**head, "outputs": [output]}
    if inference.id is not None:
        response["id"] = inference.id
    if inference.binary:
        raw = np.ascontiguousarray(rows, dtype.newbyteorder("<")).tobytes()
        output["parameters"] = {"binary_data_size": len(raw)}
        text = json.dumps(response).encode()
        return text + raw, len(text)
    if dtype.kind == "f" and not np.isfinite(rows).all():
        raise Refusal(400, f"output '{name}' is not finite, which JSON cannot say; ask for it with binary_data")
    output["data"] = rows.ravel().tolist()
    return json.dumps(response).encode(), 0


def _split(body: bytes, json_length: str | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return body, memoryview(b"")
    if not (json_length.isascii() and json_length.isdecimal() and len(json_length) < 16):
        raise Refusal(400, f"{LENGTH_HEADER} must be a number of bytes")
    length = int(json_length)
    if length > len(body):
        raise Refusal(400, f"{LENGTH_HEADER} is {length}, but the body has only {len(body)} bytes")
    return body[:length], memoryview(body)[length:]


def _raw(tensors: memoryview, spec: ModelSpec) -> Inference:
    name, (batch, *row), dtype = input_tensor(spec)
    count, rest = divmod(len(tensors), int(np.prod(row)) * dtype.itemsize)
    if rest or not 0 < count <= batch:
        raise Refusal(
            400,
            f"input byte size mismatch for input '{name}': expected 1 to {batch} times "
            f"{int(np.prod(row)) * dtype.itemsize} bytes, got {len(tensors)}",
        )
    return Inference(_from_bytes(len(tensors), tensors, (count, *row), dtype, name), None, binary=True, timeout_s=None)


def _load(text: bytes) -> object:
    def refuse(constant: str) -> NoReturn:
        raise Refusal(400, f"the JSON holds {constant}, which is not a JSON number; send such tensors as binary")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, json.JSONDecodeError) else "damaged, or nested too deeply"
        raise Refusal(400, f"failed to parse the request JSON: {what}") from error


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(400, f"{what} must be a JSON object")
    return value


def _objects(request: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = request.get(key, [])
    if not isinstance(values, list):
        raise Refusal(400, f"'{key}' must be a JSON array")
    return [_object(value, f"each of '{key}'") for value in values]


def _id(request: dict[str, Any]) -> str | None:
    name = request.get("id")
    if name is not None and (not isinstance(name, str) or len(name) > 1000):
        raise Refusal(400, "'id' must be a string of at most 1000 characters")
    return name or None


def _timeout(parameters: dict[str, Any]) -> float | None:
    timeout = parameters.get("timeout")
    if timeout is None:
        return None
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 0:
        raise Refusal(400, "'timeout' must be a whole number of microseconds")
    return min(timeout, 10**12) / 1e6 or None  # 0 is "no timeout" to Triton's clients


def _wants_binary(request: dict[str, Any], parameters: dict[str, Any], name: str, model: str) -> bool:
    default = parameters.get("binary_data_output", False)
    outputs = _objects(request, "outputs")
    for output in outputs:
        if output.get("name") != name:
            raise Refusal(400, f"unexpected inference output '{str(output.get('name'))[:100]}' for model '{model}'")
        asked = _object(output.get("parameters", {}), "an output's 'parameters'")
        for extension in ("classification", "shared_memory_region"):
            if asked.get(extension):
                raise Refusal(400, f"output '{name}': the parameter '{extension}' is not supported")
        default = asked.get("binary_data", default)
    if len(outputs) > 1:
        raise Refusal(400, f"output '{name}' is asked for {len(outputs)} times, expected once")
    if not isinstance(default, bool):
        raise Refusal(400, "'binary_data' and 'binary_data_output' must be true or false")
    return default


def _input_rows(request: dict[str, Any], tensors: memoryview, spec: ModelSpec, model: str) -> Array:
    name, full_shape, dtype = input_tensor(spec)
    inputs = _objects(request, "inputs")
    if len(inputs) != 1:
        raise Refusal(400, f"expected 1 inputs but got {len(inputs)} inputs for model '{model}'")
    if inputs[0].get("name") != name:
        raise Refusal(400, f"unexpected inference input '{str(inputs[0].get('name'))[:100]}' for model '{model}'")
    datatype = inputs[0].get("datatype")
    if datatype != DATATYPES[dtype.name]:
        got = str(datatype)[:20]
        raise Refusal(
            400, f"inference input '{name}' data-type is '{got}', but model '{model}' expects '{DATATYPES[dtype.name]}'"
        )
    shape = _shape(inputs[0].get("shape"), full_shape, name, model)
    parameters = _object(inputs[0].get("parameters", {}), "an input's 'parameters'")
    if "shared_memory_region" in parameters:
        raise Refusal(400, f"input '{name}': shared memory is not supported")
    if "binary_data_size" in parameters:
        return _from_bytes(parameters["binary_data_size"], tensors, shape, dtype, name)
    if len(tensors):
        raise Refusal(400, f"{len(tensors)} bytes follow the JSON, but no input has a 'binary_data_size'")
    return _from_json(inputs[0].get("data"), shape, dtype, name)


def _shape(shape: object, full: tuple[int, ...], name: str, model: str) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(length) is int for length in shape):
        raise Refusal(400, f"input '{name}': 'shape' must be an array of whole numbers")
    if shape[1:] != list(full[1:]) or not shape or shape[0] < 1:
        expected = [-1, *full[1:]]
        raise Refusal(
            400, f"unexpected shape for input '{name}' for model '{model}'. Expected {expected}, got {shape[:9]}"
        )
    if shape[0] > full[0]:
        raise Refusal(400, f"inference request batch-size must be <= {full[0]} for '{model}'")
    return tuple(shape)


def _from_bytes(size: object, tensors: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    expected = int(np.prod(shape)) * dtype.itemsize
    if size != expected or isinstance(size, bool) or len(tensors) != expected:
        raise Refusal(
            400,
            f"input '{name}': expected {expected} bytes of data, but 'binary_data_size' is {str(size)[:20]} and "
            f"{len(tensors)} bytes follow the JSON",
        )
    return np.frombuffer(tensors, dtype.newbyteorder("<")).reshape(shape)


def _from_json(data: object, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    kind = DATATYPES[dtype.name]
    # numpy would read strings as well, and reserve for each as much memory as the longest takes
    numbers = np.array(_flat(data, f"input '{name}': 'data' must be an array of numbers of {kind}"))
    if numbers.dtype.kind not in _NUMBERS[dtype.kind]:
        raise Refusal(400, f"input '{name}': 'data' must be an array of numbers of {kind}")
    if numbers.size != np.prod(shape):
        raise Refusal(400, f"input '{name}': expected {np.prod(shape)} numbers for its shape, got {numbers.size}")
    with np.errstate(over="ignore"):
        values = numbers.astype(dtype)
    exact = np.isfinite(values).all() if dtype.kind == "f" else (values == numbers).all()
    if not exact:
        raise Refusal(400, f"input '{name}': 'data' holds numbers beyond the range of {kind}")
    return values.reshape(shape)


def _flat(data: object, problem: str, depth: int = _DEPTH) -> list[int | float]:
    """The numbers of nested arrays, in order."""
    if not isinstance(data, list) or not data:
        raise Refusal(400, problem)
    kinds = set(map(type, data))
    if kinds <= {int, float}:
        return data
    if kinds != {list} or not depth:
        raise Refusal(400, problem)
    return [number for part in data for number in _flat(part, problem, depth - 1)]
