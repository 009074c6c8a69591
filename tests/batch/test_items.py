"""What may be named as pictures for a cluster."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from afformer.errors import AfformerError

pyarrow = pytest.importorskip("pyarrow", reason="Parquet and URLs need the extra `ray`")

from afformer.batch.choices import BatchOptions  # noqa: E402
from afformer.batch.items import find_items  # noqa: E402


def paths(*sources: object, options: BatchOptions | None = None) -> list[str]:
    return [item.path for item in find_items([str(source) for source in sources], options or BatchOptions())]


def write_parquet(path: Path, /, **columns: object) -> Path:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.fixture
def remote(pictures: Path) -> str:
    """The folder behind a URL that fsspec opens."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.put(str(pictures), "/bucket/pictures", recursive=True)
    return "memory://bucket/pictures"


def test_a_folder_stands_for_all_pictures_in_it(pictures: Path) -> None:
    found = [str(pictures / name) for name in ("night/two.jpg", "one.jpg", "zero.jpg")]
    assert sorted(paths(pictures)) == found
    assert sorted(paths(f"file://{pictures}")) == found


def test_what_is_named_twice_is_taken_once(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    assert paths("one.jpg", pictures / "night" / ".." / "one.jpg", ".", pictures).count(str(pictures / "one.jpg")) == 1


def test_a_list_has_a_path_or_url_a_line_relative_to_its_folder(pictures: Path) -> None:
    listed = pictures / "list.txt"
    listed.write_text("\ufeffone.jpg\r\n\nnight/two.jpg\ns3://bucket/a b.jpg\n/elsewhere/x.png")
    absolute = [str(pictures / "one.jpg"), str(pictures / "night/two.jpg"), "s3://bucket/a b.jpg", "/elsewhere/x.png"]
    assert paths(listed) == absolute


def test_stdin_may_be_the_list(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    monkeypatch.setattr("sys.stdin", io.StringIO("one.jpg\n"))
    assert paths("-") == [str(pictures / "one.jpg")]


def test_parquet_names_pictures_relative_to_its_folder(pictures: Path) -> None:
    table = write_parquet(pictures / "list.parquet", path=["one.jpg", "/elsewhere/x.png"])
    assert paths(table) == [str(pictures / "one.jpg"), "/elsewhere/x.png"]


def test_rows_with_bytes_of_one_path_are_different_pictures(pictures: Path) -> None:
    table = write_parquet(pictures / "data.parquet", path=["a", "a", None], bytes=[b"1", b"2", b"3"])
    items = find_items([str(table)], BatchOptions())
    assert [item.path for item in items] == ["a", "a", f"{table}#2"]
    assert len({item.key for item in items}) == 3


def test_columns_may_be_named_and_lie_in_a_struct(pictures: Path) -> None:
    table = write_parquet(pictures / "data.parquet", image=[{"bytes": b"1", "path": "a"}], label=[1])
    options = BatchOptions(path_column="image.path", bytes_column="image.bytes")
    assert [(item.path, item.row) for item in find_items([str(table)], options)] == [("a", 0)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"file": ["a"]}, "has no column 'path' or 'bytes', but file"),
        ({"path": [1]}, "'path' is of type int64, expected string"),
        ({"bytes": ["a"]}, "'bytes' is of type string, expected binary"),
    ],
)
def test_parquet_without_such_columns_is_refused(pictures: Path, columns: dict[str, object], reason: str) -> None:
    with pytest.raises(AfformerError, match=reason):
        paths(write_parquet(pictures / "other.parquet", **columns))


def test_damaged_parquet_is_refused_in_one_line(pictures: Path) -> None:
    (pictures / "damaged.parquet").write_bytes(b"PAR1 is how it should begin and end")
    with pytest.raises(AfformerError, match=r"^\S*damaged.parquet: cannot be read as Parquet \([^\n]*\)"):
        paths(pictures / "damaged.parquet")


def test_a_url_stands_for_a_folder_a_picture_or_a_list(remote: str, pictures: Path) -> None:
    inside = [f"{remote}/{name}" for name in ("night/two.jpg", "one.jpg", "zero.jpg")]
    assert paths(remote) == inside
    assert paths(f"{remote}/") == inside
    assert paths(f"{remote}/one.jpg") == [f"{remote}/one.jpg"]


def test_a_list_behind_a_url_is_relative_to_it(remote: str, pictures: Path) -> None:
    pytest.importorskip("fsspec").filesystem("memory").pipe("/bucket/pictures/list.txt", b"one.jpg\n/x.jpg")
    assert paths(f"{remote}/list.txt") == [f"{remote}/one.jpg", "/x.jpg"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("memory://bucket/missing", "memory://bucket/missing: there is no such file or folder"),
        ("gibberish://user:secret@host/x", "gibberish://host: cannot be reached"),
        ("/nowhere/at/all", "there is no such file or folder"),
    ],
)
def test_what_is_not_there_is_said_without_secrets(remote: str, source: str, reason: str) -> None:
    with pytest.raises(AfformerError, match=reason) as caught:
        paths(source)
    assert "secret" not in str(caught.value)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(AfformerError, match=r"empty.txt: names no pictures"):
        paths(tmp_path / "empty.txt")


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_has_a_key_that_parquet_can_hold(pictures: Path) -> None:
    (pictures / "one.jpg").rename(pictures / os.fsdecode(b"\xff.jpg"))
    keys = [item.key for item in find_items([str(pictures)], BatchOptions())]
    assert f"{pictures}/\\xff.jpg" in keys
    pyarrow.array(keys)


def test_keys_hold_neither_credentials_nor_options(pictures: Path) -> None:
    listed = pictures / "list.txt"
    listed.write_text("s3://id:secret@bucket/a?b.jpg?region=eu-central-1\nhttps://host/x?id=1\n")
    keys = [item.key for item in find_items([str(listed)], BatchOptions())]
    assert keys == ["s3://bucket/a?b.jpg", "https://host/x?id=1"]
