from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.builders.serving import Running, running


def samples(server: Running) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_requests_stages_batches_queue_and_memory_are_counted(models: dict[str, Path], png_file: bytes) -> None:
    with running({"m": models["logits"]}) as server:
        for _ in range(3):
            server.client.post("/v1/segment", content=png_file)
        server.client.post("/v1/segment", content=b"x")
        server.client.get("/nowhere/secret")
        seen = samples(server)
    assert seen["afformer_requests_total", (("endpoint", "/v1/segment"), ("status", "200"))] == 3
    assert seen["afformer_requests_total", (("endpoint", "/v1/segment"), ("status", "415"))] == 1
    assert seen["afformer_requests_total", (("endpoint", "other"), ("status", "404"))] == 1
    assert seen["afformer_request_seconds_count", (("endpoint", "/v1/segment"),)] == 4
    for stage in ("decode", "queue", "input", "infer", "output", "encode"):
        assert seen["afformer_stage_seconds_count", (("model", "m"), ("stage", stage))] == 3
    assert seen["afformer_batch_size_sum", (("model", "m"),)] == 3
    assert seen["afformer_queue_size", (("model", "m"),)] == 0
    assert seen["afformer_held_bytes", ()] == 0


def test_an_unloaded_model_has_no_queue(models: dict[str, Path]) -> None:
    with running({"m": models["logits"]}) as server:
        server.client.post("/v2/repository/models/m/unload")
        assert ("afformer_queue_size", (("model", "m"),)) not in samples(server)
