"""`/v1/segment`: pictures in, what the segmenter sees in them out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from afformer.images import RGBImage
from afformer.runtime.choices import Fit
from afformer.runtime.render import Renderer
from afformer.runtime.segmenter import Segmenter
from tests.builders.regions import from_polygons, from_rle
from tests.builders.serving import Running


def encoded(picture: RGBImage, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def expected(model: Path, picture: RGBImage, fit: Fit = Fit.STRETCH) -> Any:
    with Segmenter(model, fit=fit) as segment:
        return segment(picture).copy()


def test_a_picture_becomes_an_indexed_png_of_its_own_size(
    server: Running, models: dict[str, Path], picture: RGBImage, png_file: bytes
) -> None:
    response = server.client.post("/v1/segment", content=png_file)
    assert response.headers["content-type"] == "image/png"
    mask = Image.open(io.BytesIO(response.content))
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), expected(models["logits"], picture))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("form", [True, False])
def test_all_formats_are_taken_as_body_and_as_upload(
    server: Running, models: dict[str, Path], picture: RGBImage, tmp_path: Path, kind: str, form: bool
) -> None:
    data = encoded(picture, kind)
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(data)
    sent: dict[str, Any] = {"files": {"anything": ("../x", data)}} if form else {"content": data}
    response = server.client.post("/v1/segment?output=raw", **sent)
    assert response.status_code == 200
    with Segmenter(models["logits"]) as segment:
        assert response.content == segment(path).tobytes()


@pytest.mark.parametrize("fit", list(Fit))
def test_the_fit_and_the_model_can_be_chosen(
    server: Running, models: dict[str, Path], picture: RGBImage, png_file: bytes, fit: Fit
) -> None:
    query = {"output": "raw", "fit": fit.value, "model": "batch"}
    response = server.client.post("/v1/segment", params=query, content=png_file)
    assert response.headers["x-model"] == "batch"
    assert response.content == expected(models["batch"], picture, fit).tobytes()


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        (None, {}, "image/png"),
        ("*/*", {}, "image/png"),
        ("image/*", {}, "image/png"),
        ("image/jpeg", {}, "image/jpeg"),
        ("application/json", {}, "application/json"),
        ("application/octet-stream", {}, "application/octet-stream"),
        ("text/html, application/json;q=0.5, image/png;q=0.4", {}, "application/json"),
        ("image/png;q=0, image/jpeg", {}, "image/jpeg"),
        ("text/html", {"output": "overlay"}, "image/jpeg"),
        ("image/png", {"output": "overlay"}, "image/png"),
        ("image/png", {"output": "json"}, "application/json"),
    ],
)
def test_accept_and_output_choose_what_comes_back(
    server: Running, png_file: bytes, accept: str | None, query: dict[str, str], kind: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    response = server.client.post("/v1/segment", params=query, content=png_file, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == kind


def test_an_overlay_is_what_the_renderer_draws(
    server: Running, models: dict[str, Path], picture: RGBImage, png_file: bytes
) -> None:
    query = {"output": "overlay", "opacity": "0.3", "outlines": "false", "names": "false"}
    response = server.client.post("/v1/segment", params=query, content=png_file, headers={"Accept": "image/png"})
    with Segmenter(models["logits"]) as segment:
        drawn = Renderer(segment.spec.classes, segment.spec.palette, 0.3).overlay(picture, segment(picture))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(response.content))), drawn)


@pytest.mark.parametrize("regions", ["rle", "polygons"])
def test_json_tells_classes_shares_and_regions_exactly(
    server: Running, models: dict[str, Path], picture: RGBImage, png_file: bytes, regions: str
) -> None:
    query = {"output": "json", "regions": regions}
    answer = server.client.post("/v1/segment", params=query, content=png_file).json()
    classmap = expected(models["logits"], picture)
    assert (answer["width"], answer["height"], answer["model"]) == (160, 120, "logits")
    assert {entry["id"] for entry in answer["classes"]} == set(np.unique(classmap))
    for entry in answer["classes"]:
        own = classmap == entry["id"]
        assert entry["pixels"] == own.sum()
        assert entry["share"] == pytest.approx(own.mean())
        drawn = from_rle(entry["rle"]) if regions == "rle" else from_polygons(entry["polygons"], own.shape)
        np.testing.assert_array_equal(drawn, own)


def test_no_regions_come_unless_asked_for(server: Running, png_file: bytes) -> None:
    answer = server.client.post("/v1/segment?output=json", content=png_file).json()
    assert set(answer["classes"][0]) == {"id", "name", "pixels", "share"}


def test_the_stages_are_timed(server: Running, png_file: bytes) -> None:
    timing = server.client.post("/v1/segment", content=png_file).headers["server-timing"]
    names = [part.partition(";")[0] for part in timing.split(", ")]
    assert names == ["decode", "queue", "input", "infer", "output", "encode"]


def test_a_photo_is_turned_upright_as_its_exif_says(server: Running, picture: RGBImage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    response = server.client.post("/v1/segment?output=json", content=encoded(picture, "JPEG", exif=exif))
    assert (response.json()["width"], response.json()["height"]) == (120, 160)


def test_models_are_listed_with_classes_and_colours(server: Running) -> None:
    first, *others = server.client.get("/v1/models").json()["models"]
    assert [first["name"], *(model["name"] for model in others)] == ["logits", "classes", "batch"]
    assert [entry["name"] for entry in first["classes"]] == ["night", "dusk", "dawn", "day"]
    assert len({tuple(entry["colour"]) for entry in first["classes"]}) == 4


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("output=pdf", 400, "output"),
        ("fit=squeeze", 400, "fit"),
        ("opacity=2", 400, "opacity"),
        ("opacity=nan", 400, "opacity"),
        ("timeout=-1", 400, "timeout"),
        ("outptu=json", 400, "outptu"),
        ("model=none", 404, "unknown model"),
        ("model=", 404, "unknown model"),
        ("model=../logits", 404, "unknown model"),
        ("model=classes&fit=slide", 400, "fit=slide"),
    ],
)
def test_a_wrong_option_is_refused(server: Running, png_file: bytes, query: str, status: int, says: str) -> None:
    response = server.client.post(f"/v1/segment?{query}", content=png_file)
    assert response.status_code == status
    assert says in response.json()["error"]


def test_what_cannot_be_made_is_406(server: Running, png_file: bytes) -> None:
    response = server.client.post("/v1/segment", content=png_file, headers={"Accept": "text/html"})
    assert response.status_code == 406


def test_a_picture_of_many_tiles_is_refused(server: Running) -> None:
    wide = encoded(np.zeros((64, 2000, 3), np.uint8), "PNG")
    response = server.client.post("/v1/segment?fit=slide", content=wide)
    assert response.status_code == 413
    assert "tiles" in response.json()["error"]
    assert server.client.post("/v1/segment?fit=stretch", content=wide).status_code == 200


def test_openapi_has_examples_and_its_page_loads_nothing_from_elsewhere(server: Running) -> None:
    document = server.client.get("/openapi.json").json()
    segment = document["paths"]["/v1/segment"]["post"]
    assert "image/jpeg" in segment["requestBody"]["content"]
    assert segment["responses"]["200"]["content"]["application/json"]["example"]["classes"]
    assert segment["x-codeSamples"]
    infer = document["paths"]["/v2/models/{model}/infer"]["post"]
    assert infer["requestBody"]["content"]["application/json"]["example"]["inputs"]
    page = server.client.get("/docs").text
    assert "https://" not in page
    assert server.client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200
