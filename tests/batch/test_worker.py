"""What one worker makes of a part, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afformer import Segmenter, assets
from afformer.images import encode_mask, read_label
from tests.builders.cli import STREET

pytest.importorskip("pyarrow", reason="Parquet needs the extra `ray`")

import pyarrow as pa
import pyarrow.parquet as pq

from afformer.batch.choices import BatchOptions, Masks
from afformer.batch.items import Item, find_items
from afformer.batch.parts import Part, failed_parts, missing_parts
from afformer.batch.places import Folder
from afformer.batch.results import read_done
from afformer.batch.worker import Job, Worker
from afformer.runtime.opening import OpenOptions


def worker(model: Path, folder: Path | str, masks: Masks = Masks.PARQUET) -> Worker:
    files = ((model.name, model.read_bytes()),)
    return Worker(Job(files, OpenOptions(threads=1), Folder(str(folder)), masks, "bytes"), "node")


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    found = pq.read_table(folder).to_pylist()
    assert len({row["path"] for row in found}) == len(found)
    return {Path(row["path"]).name: row for row in found}


def one_part(source: object) -> Part:
    (part,) = missing_parts(find_items([str(source)], BatchOptions()), {}, 100)
    return part


def test_rows_have_the_segmenters_mask_and_the_classes_shares(pictures: Path, tmp_path: Path) -> None:
    done = worker(assets.MODEL, tmp_path / "out").do(one_part(pictures))
    assert (done.pictures, len(done.errors), done.stop) == (3, 1, None)
    row = rows(tmp_path / "out")["one.jpg"]
    with Segmenter(assets.MODEL, threads=1) as segmenter:
        expected = segmenter(STREET)
        assert row["mask"] == encode_mask(expected, segmenter.spec.palette)
        assert row["shares"][0]["class"] == segmenter.spec.classes[np.bincount(expected.ravel()).argmax()]
    assert (row["height"], row["width"]) == expected.shape
    assert sum(share["pixels"] for share in row["shares"]) == expected.size
    assert sum(share["share"] for share in row["shares"]) == pytest.approx(1)


def test_a_picture_that_cannot_be_read_is_a_row_with_an_error(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    part = one_part(pictures)
    gone = Item(str(pictures / "gone.jpg"))
    worker(tiny, tmp_path / "out").do(Part(part.name, (*part.items, gone)))
    found = rows(tmp_path / "out")
    assert [name for name, row in found.items() if row["error"] is None] == ["two.jpg", "one.jpg"]
    assert "not a picture" in found["zero.jpg"]["error"]
    assert "check the path" in found["gone.jpg"]["error"]
    assert found["gone.jpg"]["mask"] is None


@pytest.mark.parametrize("masks", Masks)
def test_masks_go_where_they_are_asked_for(tiny: Path, pictures: Path, tmp_path: Path, masks: Masks) -> None:
    out = tmp_path / "out"
    worker(tiny, out, masks).do(one_part(pictures))
    (file,) = out.glob("*.parquet")
    for row in pq.read_table(file).to_pylist():
        good = row["error"] is None
        assert (row["mask"] is not None) == (good and masks in (Masks.PARQUET, Masks.BOTH))
        assert (row["mask_file"] is not None) == (good and masks in (Masks.FILES, Masks.BOTH))
        if row["mask_file"]:
            assert read_label(out / row["mask_file"]).shape == (row["height"], row["width"])
    assert (out / "masks").exists() == (masks in (Masks.FILES, Masks.BOTH))


def test_pictures_in_parquet_are_segmented_wherever_their_rows_lie(tiny: Path, tmp_path: Path) -> None:
    data = [STREET.read_bytes(), None, b"damaged", *[STREET.read_bytes()] * 3]
    table = pa.table({"path": [f"{number}.jpg" for number in range(6)], "bytes": data})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2)
    items = find_items([str(tmp_path / "data.parquet")], BatchOptions())
    for part in missing_parts(items[1:], {}, 3):
        worker(tiny, tmp_path / "out").do(part)
    found = rows(tmp_path / "out")
    assert sorted(found) == [f"{number}.jpg" for number in range(1, 6)]
    assert [name for name, row in sorted(found.items()) if row["error"]] == ["1.jpg", "2.jpg"]
    assert "holds no bytes" in found["1.jpg"]["error"]
    assert found["5.jpg"]["row"] == 5


def test_a_part_that_is_there_is_not_done_again(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    part = one_part(pictures)
    first = worker(tiny, tmp_path / "out").do(part)
    (file,) = (tmp_path / "out").glob("*.parquet")
    before = file.stat().st_mtime_ns
    (pictures / "one.jpg").unlink()
    assert worker(tiny, tmp_path / "out").do(part) == first
    assert file.stat().st_mtime_ns == before


def test_pictures_that_failed_are_tried_again_in_their_part(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    items = find_items([str(pictures)], BatchOptions())
    folder = Folder(str(tmp_path / "out"))
    worker(tiny, tmp_path / "out").do(one_part(pictures))
    (pictures / "zero.jpg").write_bytes(STREET.read_bytes())
    (again,) = failed_parts(items, read_done(folder))
    done = worker(tiny, tmp_path / "out").do(again)
    assert (done.pictures, done.errors) == (1, ())
    assert {row["error"] for row in rows(tmp_path / "out").values()} == {None}
    assert failed_parts(items, read_done(folder)) == []


def test_a_folder_behind_a_url_gets_whole_files(tiny: Path, pictures: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.store.clear()
    done = worker(tiny, "memory://bucket/out", Masks.BOTH).do(one_part(pictures))
    assert done.stop is None
    assert len(read_done(Folder("memory://bucket/out"))) == 3
    assert sorted(path.rpartition(".")[2] for path in memory.find("/bucket/out")) == ["parquet", "png", "png"]


@pytest.mark.parametrize("name", ["../../up.jpg", "a" * 300 + ".jpg", "s3://bucket/../up.jpg"])
def test_masks_stay_in_their_folder_whatever_pictures_are_called(name: str) -> None:
    from afformer.batch.results import mask_file

    parts = mask_file(Item(name)).split("/")
    assert parts[0] == "masks"
    assert ".." not in parts
    assert max(map(len, parts)) <= 255


def test_a_folder_that_cannot_be_written_stops_the_work(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = worker(tiny, tmp_path / "out").do(one_part(pictures))
    assert done.stop
    assert str(tmp_path / "out") in done.stop


def test_one_picture_of_a_batch_does_not_take_the_others_along(
    tiny: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afformer.errors import BackendError

    real = Segmenter.segment_batch

    def failing(self: Segmenter, images: Any, /, **others: Any) -> Any:
        if any(image.shape[0] == 7 for image in images):
            raise BackendError("seven rows are too few")
        return real(self, images, **others)

    monkeypatch.setattr(Segmenter, "segment_batch", failing)
    monkeypatch.setattr(Segmenter, "batch", property(lambda self: 3))
    from afformer.images import write_image

    write_image(pictures / "seven.png", np.zeros((7, 9, 3), np.uint8))
    worker(tiny, tmp_path / "out").do(one_part(pictures))
    found = rows(tmp_path / "out")
    assert found["seven.png"]["error"] == "seven rows are too few"
    assert found["one.jpg"]["error"] is None
