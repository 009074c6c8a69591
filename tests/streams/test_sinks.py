"""Results in a folder: what is written, under which names, and what is never overwritten."""

from __future__ import annotations

import collections
import io
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import ImageError, OutputError
from afformer.images import read_image, read_label
from afformer.runtime.render import Renderer
from afformer.streams.choices import Output
from afformer.streams.frames import Frame
from afformer.streams.sinks import FolderSink, JsonLinesSink

PALETTE = ((128, 64, 128), (0, 0, 142), (70, 130, 180))
RENDERER = Renderer(("road", "car", "sky"), PALETTE)
CLASSMAP = np.array([[0, 0, 2], [0, 1, 2]], np.uint8)


def frame(name: str = "street", path: Path | None = None) -> Frame:
    return Frame(0, name, np.full((2, 3, 3), 100, np.uint8), path)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_overlay_and_a_mask_are_written_and_their_paths_returned(tmp_path: Path) -> None:
    paths = FolderSink(tmp_path, RENDERER).write(frame(), CLASSMAP)
    assert [path.name for path in paths] == ["street_overlay.png", "street_mask.png"]
    assert files(tmp_path) == sorted(path.name for path in paths)
    assert (read_label(paths[1]) == CLASSMAP).all()
    assert (read_image(paths[0]) == RENDERER.overlay(np.full((2, 3, 3), 100, np.uint8), CLASSMAP)).all()


def test_every_output_is_written_on_request(tmp_path: Path) -> None:
    written = FolderSink(tmp_path, RENDERER, list(Output), legend=True).write(
        frame(path=Path("in/street.jpg")), CLASSMAP
    )
    by_output = {output: path for output in Output for path in written if path.name.endswith(output.value)}
    assert len(by_output) == len(Output) == len(files(tmp_path))
    assert (np.load(by_output[Output.NPY], allow_pickle=False) == CLASSMAP).all()
    assert read_image(by_output[Output.SIDE_BY_SIDE]).shape[1] > read_image(by_output[Output.OVERLAY]).shape[1] > 3
    report = json.loads(by_output[Output.JSON].read_text())
    assert report == {
        "picture": str(Path("in/street.jpg")),
        "width": 3,
        "height": 2,
        "classes": [
            {"id": 0, "name": "road", "pixels": 3, "share": 0.5},
            {"id": 2, "name": "sky", "pixels": 2, "share": 2 / 6},
            {"id": 1, "name": "car", "pixels": 1, "share": 1 / 6},
        ],
    }


def test_a_side_by_side_shows_the_picture_as_it_is_and_its_overlay(tmp_path: Path) -> None:
    (path,) = FolderSink(tmp_path, RENDERER, [Output.SIDE_BY_SIDE]).write(frame(), CLASSMAP)
    both = read_image(path)
    assert (both[:, :3] == 100).all()
    assert (both[:, -3:] == RENDERER.overlay(np.full((2, 3, 3), 100, np.uint8), CLASSMAP)).all()


def test_two_pictures_of_one_name_keep_both_results(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path, RENDERER, [Output.MASK])
    for name, class_id in (("street", 0), ("Street", 1), ("street-2", 2), ("street", 1)):
        sink.write(frame(name), np.full((2, 3), class_id, np.uint8))
    assert files(tmp_path) == ["Street-2_mask.png", "street-2-2_mask.png", "street-3_mask.png", "street_mask.png"]
    assert (read_label(tmp_path / "street_mask.png") == 0).all()
    assert (read_label(tmp_path / "street-2-2_mask.png") == 2).all()


def test_a_second_run_replaces_the_results_of_the_first(tmp_path: Path) -> None:
    for class_id in (0, 1):
        FolderSink(tmp_path, RENDERER, [Output.MASK]).write(frame(), np.full((2, 3), class_id, np.uint8))
    assert files(tmp_path) == ["street_mask.png"]
    assert (read_label(tmp_path / "street_mask.png") == 1).all()


def test_an_input_is_not_overwritten_under_another_name_either(tmp_path: Path) -> None:
    (tmp_path / "input.png").write_bytes(b"drawn by hand")
    (tmp_path / "street_mask.png").hardlink_to(tmp_path / "input.png")
    with pytest.raises(OutputError, match="is one of the inputs"):
        FolderSink(tmp_path, RENDERER, [Output.MASK], protected=[tmp_path / "input.png"]).write(
            frame(), np.zeros((2, 3), np.uint8)
        )


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    label = tmp_path / "street_mask.png"
    label.write_bytes(b"drawn by hand")
    with pytest.raises(OutputError, match="is one of the inputs"):
        FolderSink(tmp_path, RENDERER, [Output.MASK], protected=[label]).write(frame(), CLASSMAP)
    assert label.read_bytes() == b"drawn by hand"


def test_the_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    FolderSink(tmp_path / "a" / "b", RENDERER, [Output.NPY]).write(frame(), CLASSMAP)
    assert files(tmp_path / "a" / "b") == ["street_classmap.npy"]


def test_a_file_in_the_place_of_the_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match=r"out: cannot be created as a folder"):
        FolderSink(tmp_path / "out", RENDERER)


def test_a_folder_that_vanished_is_one_clear_line(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out", RENDERER, list(Output))
    (tmp_path / "out").rmdir()
    with pytest.raises(OutputError, match=r"street_overlay.png: cannot be written"):
        sink.write(frame(), CLASSMAP)


def test_a_frame_without_a_picture_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds an error"):
        FolderSink(tmp_path, RENDERER).write(Frame(3, "broken", ImageError("broken.jpg: is empty")), CLASSMAP)
    assert files(tmp_path) == []


def test_class_maps_of_many_classes_are_written_too(tmp_path: Path) -> None:
    renderer = Renderer([str(i) for i in range(300)], [(i % 256, 0, 0) for i in range(300)])
    classmap = np.array([[0, 1, 2], [3, 4, 299]], np.int32)
    paths = FolderSink(tmp_path, renderer, list(Output)).write(frame(), classmap)
    assert (read_label(paths[1]) == classmap).all()


def test_json_lines_hold_one_frame_each_with_its_time_stamps(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "out.jsonl", RENDERER.classes)
    image = np.zeros((2, 3, 3), np.uint8)
    assert sink.write(Frame(7, "cam_000007", image, time_s=0.25, captured_at=86400.5), CLASSMAP) == []
    sink.write(frame(path=Path("in/street.jpg")), CLASSMAP)
    assert not (tmp_path / "out.jsonl").exists()
    assert sink.close() == [tmp_path / "out.jsonl"]
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert (first["index"], first["time_s"], first["captured_at"]) == (7, 0.25, "1970-01-02T00:00:00.500+00:00")
    assert (first["picture"], first["width"], first["height"]) == ("cam_000007", 3, 2)
    assert [entry["name"] for entry in first["classes"]] == ["road", "sky", "car"]
    assert (second["time_s"], second["captured_at"]) == (None, None)
    assert files(tmp_path) == ["out.jsonl"]
    assert sink.close() == []


def test_json_lines_on_a_stream_come_at_once_and_leave_it_open() -> None:
    class Stream(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    stream = Stream()
    with JsonLinesSink(stream, RENDERER.classes) as sink:
        sink.write(frame(), CLASSMAP)
        assert stream.flushed == 1
    assert json.loads(stream.getvalue())["index"] == 0
    assert not stream.closed


def test_json_lines_that_cannot_be_written_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be created as a folder"):
        JsonLinesSink(tmp_path / "file" / "out.jsonl", RENDERER.classes)

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(OutputError, match=r"stdout: JSON lines cannot be written any more \(Broken pipe\)"):
        JsonLinesSink(Closed(), RENDERER.classes).write(frame(), CLASSMAP)


def test_very_long_names_are_cut_so_that_the_endings_fit(tmp_path: Path) -> None:
    image, classmap = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    sink = FolderSink(tmp_path, Renderer(("a",), ((1, 2, 3),)), [Output.MASK])
    first = sink.write(Frame(0, "é" * 120, image), classmap)
    second = sink.write(Frame(1, "é" * 120, image), classmap)
    assert first != second
    assert all(path.is_file() for path in (*first, *second))


def test_json_lines_without_a_frame_leave_nothing(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "out.jsonl", RENDERER.classes)
    assert files(tmp_path) == []
    assert sink.close() == []
    assert files(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_lines_of_a_full_disk_never_stand_under_their_name_even_if_there_is_room_later(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "a.jsonl", ("a" * 3000, "b"))
    import resource

    classmap = np.zeros((2, 2), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"a\.jsonl: JSON lines cannot be written any more"):
            collections.deque(sink.write(frame(), classmap) for _ in range(20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    with pytest.raises(OutputError, match="could not be written before this one"):
        sink.write(frame(), classmap)
    assert sink.close() == []
    assert list(tmp_path.iterdir()) == []
