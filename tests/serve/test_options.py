from __future__ import annotations

from pathlib import Path

import pytest

from afformer.assets import MODEL
from afformer.errors import AfformerError
from afformer.runtime.opening import OpenOptions
from afformer.serve.options import API_KEY_VARIABLE, ModelFile, ServeOptions, named_models, read_api_key

KEY = "0123456789abcdef"


def test_models_are_named_by_their_files_or_by_hand() -> None:
    assert named_models(("a/street.onnx", "fast=b/x.engine")) == {
        "street": ModelFile(Path("a/street.onnx")),
        "fast": ModelFile(Path("b/x.engine")),
    }


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lr=1.onnx"
    path.touch()
    with pytest.raises(AfformerError, match="model name 'lr=1'"):
        named_models((str(path),))
    assert named_models((f"m={path}",)) == {"m": ModelFile(path)}


def test_the_bundled_model_is_served_if_none_is_named() -> None:
    assert named_models(()) == named_models(("tiny-camvid",)) == {"tiny-camvid": ModelFile(MODEL)}


@pytest.mark.parametrize("argument", ["=x.onnx", "a/b=x.onnx", "..=x.onnx", "a b=x.onnx", "é=x.onnx"])
def test_a_name_that_does_not_go_into_a_url_is_refused(argument: str) -> None:
    with pytest.raises(AfformerError, match="model name"):
        named_models((argument,))


def test_a_model_may_have_workers_and_threads_of_its_own() -> None:
    models = named_models(("a=a,1.onnx,workers=3,threads=1", "b.onnx,threads=0", "c.onnx"))
    assert models["a"] == ModelFile(Path("a,1.onnx"), workers=3, threads=1)
    options = ServeOptions(workers=2, open_options=OpenOptions(threads=4))
    adapted = [models[name].adapt(options) for name in "abc"]
    assert [(own.workers, own.open_options.threads) for own in adapted] == [(3, 1), (2, 0), (2, 4)]


@pytest.mark.parametrize("count", [0, 65])
def test_a_number_of_workers_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(AfformerError, match="workers must be 1 to 64"):
        named_models((f"m.onnx,workers={count}",))


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(AfformerError, match="given twice"):
        named_models(("a/m.onnx", "b/m.onnx"))


def test_the_key_comes_from_the_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_api_key(file, {API_KEY_VARIABLE: "other-key-from-elsewhere"}) == KEY
    assert read_api_key(None, {API_KEY_VARIABLE: KEY}) == KEY
    assert read_api_key(None, {}) is None


@pytest.mark.parametrize("content", ["", "short", "with some spaces in it", "schlüssel-schlüssel"])
def test_a_key_that_protects_nothing_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content, "utf-8")
    with pytest.raises(AfformerError, match="API key") as caught:
        read_api_key(file, {})
    assert content == "" or content not in str(caught.value)
    with pytest.raises(AfformerError, match=API_KEY_VARIABLE):
        read_api_key(None, {API_KEY_VARIABLE: content})


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AfformerError, match="cannot be read"):
        read_api_key(tmp_path / "none", {})
