"""What a user may point at, and what comes out of it."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.streams.sources import open_source
from afformer.streams.video_file import VideoFile
from tests.builders.videos import mjpeg_server, write_clip


def picture(path: Path, red: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((2, 3, 3), (0, 0, red), np.uint8))
    return path


def names(paths: tuple[Path, ...], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_single_picture_is_one_frame(tmp_path: Path) -> None:
    path = picture(tmp_path / "street.png", 200)
    (frame,) = open_source(str(path))
    assert (frame.index, frame.name, frame.path) == (0, "street", path)
    assert isinstance(frame.content, np.ndarray)
    assert frame.content[0, 0].tolist() == [200, 0, 0]


def test_a_folder_gives_its_pictures_with_subfolders_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "1.png", "b/3.JPG", "a/1.png", "Frame9.png", "frame10.png"):
        picture(tmp_path / name)
    expected = ["1.png", "2.png", "10.png", "a/1.png", "b/3.JPG", "Frame9.png", "frame10.png"]
    assert names(open_source(tmp_path).paths, tmp_path) == expected


def test_hidden_files_and_files_that_are_not_pictures_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", ".b.png", ".thumbnails/c.png"):
        picture(tmp_path / name)
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert names(open_source(tmp_path).paths, tmp_path) == ["a.png"]


def test_a_folder_whose_own_path_is_hidden_is_read(tmp_path: Path) -> None:
    picture(tmp_path / ".cache" / "a.png")
    assert open_source(tmp_path / ".cache").length == 1


def test_a_pattern_gives_the_pictures_that_match(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png", "sub/a3.png"):
        picture(tmp_path / name)
    (tmp_path / "a4.txt").touch()
    assert names(open_source(str(tmp_path / "a*")).paths, tmp_path) == ["a1.png", "a2.png"]
    assert names(open_source(str(tmp_path / "**" / "a*.png")).paths, tmp_path) == ["a1.png", "a2.png", "sub/a3.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_the_file(tmp_path: Path) -> None:
    picture(tmp_path / "a[1].png")
    picture(tmp_path / "a1.png")
    assert names(open_source(str(tmp_path / "a[1].png")).paths, tmp_path) == ["a[1].png"]


def test_several_specs_keep_their_order_and_name_a_file_once(tmp_path: Path) -> None:
    b, a = picture(tmp_path / "z" / "b.png"), picture(tmp_path / "a.png")
    source = open_source([b, tmp_path / "z", a, str(a)])
    assert source.paths == (b, a)
    assert source.length == 2
    assert [frame.index for frame in source] == [0, 1]


def test_a_file_named_by_itself_is_read_whatever_its_extension(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "upload.tmp")
    (frame,) = open_source(tmp_path / "upload.tmp")
    assert isinstance(frame.content, np.ndarray)


def test_an_unreadable_picture_is_a_frame_with_its_error_and_the_rest_follows(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"broken")
    picture(tmp_path / "2.png")
    broken, whole = open_source(tmp_path)
    assert isinstance(broken.content, ImageError)
    assert "1.png" in str(broken.content)
    assert isinstance(whole.content, np.ndarray)


def test_a_source_can_be_read_twice_and_is_a_context(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == [frame.name for frame in source] == ["a"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.png", "there is no such file or folder"),
        ("empty", "holds no pictures"),
        ("*.jpg", "holds no pictures"),
    ],
)
def test_a_source_without_pictures_is_one_clear_line(tmp_path: Path, spec: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=message) as caught:
        open_source(str(tmp_path / spec))
    assert str(tmp_path / spec) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_source_at_all_is_an_error() -> None:
    with pytest.raises(ImageError, match="no source was given"):
        open_source([])


def test_a_numbered_sequence_gives_its_numbers_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("f_0010.png", "f_0002.png", "f_10000.png", "f_3.png", "f_4.jpg", "g_0001.png", "f_0005_mask.png"):
        picture(tmp_path / name)
    assert names(open_source(str(tmp_path / "f_%04d.png")).paths, tmp_path) == [
        "f_0002.png",
        "f_0010.png",
        "f_10000.png",
    ]
    assert open_source(str(tmp_path / "f_%d.png")).length == 4
    with pytest.raises(ImageError, match="holds no pictures"):
        open_source(str(tmp_path / "none" / "f_%04d.png"))


def test_a_file_whose_name_looks_like_a_sequence_is_the_file(tmp_path: Path) -> None:
    assert open_source(picture(tmp_path / "100%d.png")).length == 1


def test_a_video_file_is_opened_as_one_whatever_the_case_of_its_ending(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.AVI"):
        with open_source(str(write_clip(tmp_path / name, 3).rename(tmp_path / name.upper()))) as source:
            assert isinstance(source, VideoFile)
            assert source.paths == (tmp_path / name.upper(),)
            assert len(list(source)) == 3


def test_a_video_behind_a_url_is_read_frame_by_frame(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", 6)
    handler = functools.partial(QuietFiles, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            with open_source(f"http://127.0.0.1:{server.server_address[1]}/a.mp4?token=1") as source:
                assert [frame.index for frame in source] == [0, 1, 2, 3, 4, 5]
                assert (source.live, source.name) == (False, "a")
        finally:
            server.shutdown()


def test_a_stream_is_live() -> None:
    with mjpeg_server(frames_per_connection=1000) as url, open_source(url) as source:
        assert source.live
        frame = next(iter(source))
        assert frame.name == f"stream_{frame.index:06d}"  # the newest: the first may be dropped already


@pytest.mark.parametrize("camera", [97, "97", "/dev/video97"])
def test_a_number_or_a_device_is_a_camera(camera: int | str) -> None:
    with pytest.raises(ImageError, match="97: is not there, or another program uses it"):
        open_source(camera)


def test_a_folder_named_like_a_camera_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "0" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert open_source("0").length == 1


@pytest.mark.parametrize("other", ["-", "0", 0, "rtsp://127.0.0.1/x", "a.mp4"])
def test_what_moves_must_be_the_only_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str | int) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ImageError, match=f"{other}: must be the only source"):
        open_source([picture(tmp_path / "a.png"), other])


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
