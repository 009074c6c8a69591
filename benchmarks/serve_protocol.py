"""Every endpoint of the Open Inference Protocol, asked of our server and of a real tritonserver, side by side.

Both must serve models `seg` and `other` with the input `image` UINT8 [-1,360,480,3], the output `classmap` UINT8
[-1,360,480] and a batch of 1; Triton needs `--model-control-mode=explicit`. docs/serve.md says how to start them.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx

SHAPE = [1, 360, 480, 3]
PIXELS = bytes(range(256)) * (360 * 480 * 3 // 256)


class Call(NamedTuple):
    """One request."""

    title: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ours")
    parser.add_argument("triton")
    arguments = parser.parse_args()
    print("| request | afformer | Triton | same |\n|---|---|---|---|")
    with httpx.Client(base_url=arguments.ours) as ours, httpx.Client(base_url=arguments.triton) as triton:
        for call in calls():
            mine, theirs = ask(ours, call), ask(triton, call)
            same = "yes" if mine.split(" ")[0] == theirs.split(" ")[0] else "**no**"
            print(f"| {call.title} | {mine} | {theirs} | {same} |")


def ask(client: httpx.Client, call: Call) -> str:
    try:
        response = client.request(call.method, call.path, content=call.body, headers=call.headers, timeout=60)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return f"{response.status_code} {summary(response)}"


def summary(response: httpx.Response) -> str:
    length = response.headers.get("inference-header-content-length")
    content = response.content[: int(length)] if length else response.content
    if not content:
        return "empty"
    value = json.loads(content)
    if "error" in value:
        return f"`{value['error'][:110]}`"
    shape = ", ".join(sorted(value)) if isinstance(value, dict) else f"{len(value)} of {', '.join(sorted(value[0]))}"
    return shape[:150] + (f" + {len(response.content) - int(length)} bytes" if length else "")


def infer(body: dict[str, Any], raw: bytes = b"", path: str = "/v2/models/seg/infer", **more: str) -> dict[str, Any]:
    text = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))} if raw else {}
    return {"method": "POST", "path": path, "body": text + raw, "headers": {**headers, **more}}


def image(**changes: Any) -> dict[str, Any]:
    size = {"parameters": {"binary_data_size": len(PIXELS)}}
    return {"inputs": [{"name": "image", "datatype": "UINT8", "shape": SHAPE, **size, **changes}]}


def calls() -> Iterator[Call]:
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2",
        "/v2/models/seg",
        "/v2/models/seg/versions/1",
        "/v2/models/seg/ready",
        "/v2/models/seg/versions/1/ready",
        "/v2/models/seg/config",
        "/v2/models/seg/stats",
        "/v2/models/stats",
    ):
        yield Call(f"GET {path}", "GET", path)
    yield Call("index", "POST", "/v2/repository/index")
    yield Call("index, ready only", "POST", "/v2/repository/index", b'{"ready": true}')
    yield Call("unload `other`", "POST", "/v2/repository/models/other/unload")
    yield Call("unloaded model's metadata", "GET", "/v2/models/other")
    yield Call("unloaded model's readiness", "GET", "/v2/models/other/ready")
    yield Call("infer, unloaded model", **infer(image(), PIXELS, "/v2/models/other/infer"))
    yield Call("load `other`", "POST", "/v2/repository/models/other/load")
    yield Call("load an unknown model", "POST", "/v2/repository/models/none/load")
    yield Call("unload an unknown model", "POST", "/v2/repository/models/none/unload")
    yield Call("infer, binary in, JSON out", **infer(image(), PIXELS))
    wanted = {"outputs": [{"name": "classmap", "parameters": {"binary_data": True}}]}
    yield Call("infer, binary both ways", **infer({**image(), **wanted, "id": "7"}, PIXELS))
    yield Call("infer, `binary_data_output`", **infer({**image(), "parameters": {"binary_data_output": True}}, PIXELS))
    numbers = {"data": list(PIXELS), "parameters": {}}
    yield Call("infer, all JSON", **infer(image(**numbers)))
    yield Call("infer, gzip", **_gzipped(infer({**image(), **wanted}, PIXELS)))
    no_json = {"Inference-Header-Content-Length": "0"}
    yield Call("infer, no JSON, only bytes", "POST", "/v2/models/seg/infer", PIXELS, no_json)
    yield Call("infer, no JSON, too few bytes", "POST", "/v2/models/seg/infer", PIXELS[1:], no_json)
    for title, path in (
        ("unknown model", "/v2/models/none"),
        ("unknown version", "/v2/models/seg/versions/9"),
        ("unknown model's config", "/v2/models/none/config"),
        ("unknown model's stats", "/v2/models/none/stats"),
        ("unknown model's readiness", "/v2/models/none/ready"),
        ("unknown version's readiness", "/v2/models/seg/versions/9/ready"),
        ("unknown path", "/v2/nothing"),
        ("outside v2", "/nothing"),
    ):
        yield Call(title, "GET", path)
    yield Call("infer, unknown model", **infer(image(), PIXELS, "/v2/models/none/infer"))
    yield Call("infer, unknown version", **infer(image(), PIXELS, "/v2/models/seg/versions/9/infer"))
    yield Call("infer, GET", "GET", "/v2/models/seg/infer")
    yield Call("infer, no body", "POST", "/v2/models/seg/infer")
    yield Call("infer, not JSON", "POST", "/v2/models/seg/infer", b"{nonsense")
    yield Call("infer, JSON array", "POST", "/v2/models/seg/infer", b"[]")
    yield Call("infer, no inputs", **infer({}))
    yield Call("infer, wrong input name", **infer(image(name="picture"), PIXELS))
    yield Call("infer, wrong type", **infer(image(datatype="FP32"), PIXELS))
    yield Call("infer, wrong shape", **infer(image(shape=[1, 10, 10, 3]), PIXELS))
    yield Call("infer, too large a batch", **infer(image(shape=[2, 360, 480, 3]), PIXELS))
    yield Call("infer, too few bytes", **infer(image(), PIXELS[:-1]))
    yield Call("infer, wrong size of bytes", **infer(image(parameters={"binary_data_size": 5}), PIXELS))
    yield Call("infer, too few numbers", **infer(image(data=[1, 2], parameters={})))
    yield Call("infer, wrong output name", **infer({**image(), "outputs": [{"name": "x"}]}, PIXELS))
    wrong = infer(image(), PIXELS)
    yield Call(
        "infer, header length beyond the body", **{**wrong, "headers": {"Inference-Header-Content-Length": "99999999"}}
    )
    yield Call("infer, header length not a number", **{**wrong, "headers": {"Inference-Header-Content-Length": "many"}})


def _gzipped(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "body": gzip.compress(call["body"]), "headers": {**call["headers"], "Content-Encoding": "gzip"}}


if __name__ == "__main__":
    main()
