"""The protocol as Triton's own client speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afformer.runtime.backends.base import input_tensor
from afformer.runtime.backends.registry import open_backend
from tests.builders.serving import Running, running

http = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")

Client = Any


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with http.InferenceServerClient(server.address) as opened:
        yield opened


def tensor(model: Path, rows: int | None = None) -> np.ndarray[Any, Any]:
    backend = open_backend(model)
    _, shape, dtype = input_tensor(backend.spec)
    values = np.random.default_rng(3).uniform(0, 255 if dtype == np.uint8 else 2, shape).astype(dtype)
    return values[:rows]


def asked(values: np.ndarray[Any, Any], binary: bool = True) -> Any:
    kind = {"uint8": "UINT8", "float32": "FP32"}[values.dtype.name]
    wanted = http.InferInput("image", list(values.shape), kind)
    wanted.set_data_from_numpy(values, binary_data=binary)
    return wanted


def own_answer(model: Path, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with open_backend(model) as backend:
        feed = np.concatenate([values, np.repeat(values[:1], backend.spec.batch - len(values), axis=0)])
        return backend.run(feed)[: len(values)].copy()


def test_the_server_and_its_models_are_live_and_ready(client: Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("logits")
    assert client.is_model_ready("logits", "1")
    assert not client.is_model_ready("logits", "2")
    assert not client.is_model_ready("none")


def test_metadata_and_configuration_describe_the_tensors(client: Client) -> None:
    assert client.get_server_metadata()["name"] == "afformer"
    metadata = client.get_model_metadata("classes", "1")
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 64, 96, 3]}]
    assert metadata["outputs"] == [{"name": "classmap", "datatype": "UINT8", "shape": [-1, 64, 96]}]
    config = client.get_model_config("batch")
    assert config["max_batch_size"] == 4
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert config["input"][0]["dims"] == [3, 64, 96]


@pytest.mark.parametrize("name", ["logits", "classes", "batch"])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_a_tensor_gives_the_models_own_answer_bit_for_bit(
    client: Client, models: dict[str, Path], name: str, binary_in: bool, binary_out: bool
) -> None:
    values = tensor(models[name], rows=1)
    output = "classmap" if name == "classes" else "logits"
    wanted = [http.InferRequestedOutput(output, binary_data=binary_out)]
    result = client.infer(name, [asked(values, binary_in)], outputs=wanted, request_id="7")
    answer = result.as_numpy(output)
    own = own_answer(models[name], values)
    assert answer.dtype == own.dtype
    np.testing.assert_array_equal(answer, own)
    assert result.get_response()["id"] == "7"


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_request_may_fill_the_batch_or_a_part_of_it(client: Client, models: dict[str, Path], rows: int) -> None:
    values = tensor(models["batch"], rows)
    np.testing.assert_array_equal(
        client.infer("batch", [asked(values)]).as_numpy("logits"), own_answer(models["batch"], values)
    )


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_requests_and_responses_may_be_compressed(client: Client, models: dict[str, Path], packing: str) -> None:
    values = tensor(models["classes"])
    result = client.infer(
        "classes",
        [asked(values)],
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    np.testing.assert_array_equal(result.as_numpy("classmap"), own_answer(models["classes"], values))


def test_bytes_without_json_are_the_whole_input(server: Running, models: dict[str, Path]) -> None:
    values = tensor(models["classes"])
    headers = {"Inference-Header-Content-Length": "0"}
    response = server.client.post("/v2/models/classes/infer", content=values.tobytes(), headers=headers)
    head = int(response.headers["Inference-Header-Content-Length"])
    assert response.content[head:] == own_answer(models["classes"], values).tobytes()


def test_statistics_count_requests_and_batches(models: dict[str, Path]) -> None:
    with running(models) as server, http.InferenceServerClient(server.address) as client:
        for _ in range(3):
            client.infer("batch", [asked(tensor(models["batch"], 2))])
        (stats,) = client.get_inference_statistics("batch")["model_stats"]
        assert (stats["inference_count"], stats["execution_count"]) == (6, 3)
        assert stats["inference_stats"]["success"]["count"] == 3
        assert stats["inference_stats"]["compute_infer"]["ns"] > 0
        assert stats["batch_stats"][0]["batch_size"] == 2
        assert len(client.get_inference_statistics()["model_stats"]) == 3


def test_models_are_unloaded_and_loaded(models: dict[str, Path]) -> None:
    with running(models) as server, http.InferenceServerClient(server.address) as client:
        client.unload_model("classes")
        states = {entry["name"]: entry["state"] for entry in client.get_model_repository_index()}
        assert states == {"logits": "READY", "batch": "READY", "classes": "UNAVAILABLE"}
        assert not client.is_server_ready()
        with pytest.raises(http.InferenceServerException, match="no available versions"):
            client.infer("classes", [asked(tensor(models["classes"]))])
        client.load_model("classes")
        client.load_model("classes")  # again, while it is loaded
        assert client.is_server_ready()
        client.infer("classes", [asked(tensor(models["classes"]))])


def test_a_model_that_cannot_be_loaded_again_stays_as_it_was(models: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(models["logits"].read_bytes())
    with running({"copy": copy}) as server, http.InferenceServerClient(server.address) as client:
        copy.write_bytes(b"damaged")
        with pytest.raises(http.InferenceServerException, match="log says why") as caught:
            client.load_model("copy")
        assert str(tmp_path) not in str(caught.value)
        client.infer("copy", [asked(tensor(models["logits"]))])


def test_only_models_of_the_start_are_loaded_and_as_they_are(client: Client) -> None:
    with pytest.raises(http.InferenceServerException, match="no such model"):
        client.load_model("another")
    with pytest.raises(http.InferenceServerException, match="not supported"):
        client.load_model("logits", config=json.dumps({"max_batch_size": 9}))


IMAGE = {"name": "image", "datatype": "UINT8", "shape": [1, 64, 96, 3]}
SIZE = 64 * 96 * 3


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"name": "picture"}, 400, "unexpected inference input 'picture'"),
        ({"datatype": "FP32"}, 400, "expects 'UINT8'"),
        ({"datatype": None}, 400, "expects 'UINT8'"),
        ({"shape": [1, 64, 96]}, 400, "unexpected shape"),
        ({"shape": []}, 400, "unexpected shape"),
        ({"shape": [True, 64, 96, 3]}, 400, "'shape' must be an array of whole numbers"),
        ({"shape": [0, 64, 96, 3]}, 400, "unexpected shape"),
        ({"shape": [2, 64, 96, 3]}, 400, "batch-size must be <= 1"),
        ({"shape": [-1, 64, 96, 3]}, 400, "unexpected shape"),
        ({"shape": "1"}, 400, "'shape' must be"),
        ({"data": None}, 400, "must be an array of numbers"),
        ({"data": [1, 2]}, 400, "expected 18432 numbers"),
        ({"data": [1.5] * SIZE}, 400, "must be an array of numbers of UINT8"),
        ({"data": [256] * SIZE}, 400, "beyond the range of UINT8"),
        ({"data": [-1] * SIZE}, 400, "beyond the range of UINT8"),
        ({"data": [10**30] * SIZE}, 400, "must be an array of numbers"),
        ({"data": ["1"] * SIZE}, 400, "must be an array of numbers"),
        ({"data": [True] * SIZE}, 400, "must be an array of numbers"),
        ({"data": [None] * SIZE}, 400, "must be an array of numbers"),
        ({"data": []}, 400, "must be an array of numbers"),
        ({"data": [1, [2]]}, 400, "must be an array of numbers"),
        ({"data": {"0": 1}}, 400, "must be an array of numbers"),
        ({"data": [[[[[[[[[[1]]]]]]]]]]}, 400, "must be an array of numbers"),
        ({"data": ["x" * 100_000, *[""] * 300_000]}, 400, "must be an array of numbers"),  # 120 GB to numpy
        ({"data": [[1], [1, 2]]}, 400, "expected 18432 numbers"),
        ({"parameters": {"shared_memory_region": "x"}}, 400, "shared memory is not supported"),
        ({"parameters": [1]}, 400, "must be a JSON object"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    server: Running, changes: dict[str, Any], status: int, says: str
) -> None:
    body = {"inputs": [{**IMAGE, "data": [0] * SIZE, **changes}]}
    response = server.client.post("/v2/models/classes/infer", json=body)
    assert response.status_code == status
    assert says in response.json()["error"]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "expected 1 inputs but got 0"),
        ({"inputs": [IMAGE, IMAGE]}, "expected 1 inputs but got 2"),
        ({"inputs": "x"}, "'inputs' must be a JSON array"),
        ({"inputs": ["x"]}, "must be a JSON object"),
        ({"inputs": [{**IMAGE, "data": [0] * SIZE}], "id": 5}, "'id' must be a string"),
        ({"inputs": [{**IMAGE, "data": [0] * SIZE}], "outputs": [{"name": "x"}]}, "unexpected inference output 'x'"),
        (
            {
                "inputs": [{**IMAGE, "data": [0] * SIZE}],
                "outputs": [{"name": "classmap", "parameters": {"classification": 3}}],
            },
            "'classification' is not supported",
        ),
        ({"inputs": [{**IMAGE, "data": [0] * SIZE}], "parameters": {"timeout": "soon"}}, "microseconds"),
    ],
)
def test_a_request_that_is_wrong_is_refused(server: Running, request_: dict[str, Any], says: str) -> None:
    response = server.client.post("/v2/models/classes/infer", json=request_)
    assert response.status_code == 400
    assert says in response.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"inputs": NaN}'])
def test_what_is_not_a_json_object_is_refused(server: Running, body: bytes) -> None:
    response = server.client.post("/v2/models/classes/infer", content=body)
    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999", "999999999999999999999", "abc", "\uff15"])
def test_a_wrong_length_of_the_json_is_refused(server: Running, length: str) -> None:
    headers = {b"Inference-Header-Content-Length": length.encode()}
    response = server.client.post("/v2/models/classes/infer", content=b"{}", headers=headers)
    assert response.status_code == 400
    assert "Inference-Header-Content-Length" in response.json()["error"]


def test_answers_that_json_cannot_say_are_asked_for_as_binary(client: Client, models: dict[str, Path]) -> None:
    values = np.full_like(tensor(models["logits"]), np.nan)
    with pytest.raises(http.InferenceServerException, match="is not finite"):
        client.infer("logits", [asked(values)], outputs=[http.InferRequestedOutput("logits", binary_data=False)])
    assert np.isnan(client.infer("logits", [asked(values)]).as_numpy("logits")).any()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/none", 404),
        ("/v2/models/none/config", 404),
        ("/v2/models/none/stats", 400),
        ("/v2/models/logits/versions/2", 404),
        ("/v2/nothing", 404),
        ("/nothing", 404),
        ("/v2/models/logits/infer", 405),
    ],
)
def test_errors_are_json_with_tritons_status(server: Running, path: str, status: int) -> None:
    response = server.client.get(path)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
