"""What a user may point at, and what comes out of it."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from afformer.errors import ImageError
from afformer.streams.sources import open_source, openers
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


@pytest.mark.parametrize("kind", [".mkv", ".mp4", ".avi"])
def test_a_video_is_known_by_its_content_where_its_name_does_not_tell(tmp_path: Path, kind: str) -> None:
    nameless = write_clip(tmp_path / f"a{kind}", 3).rename(tmp_path / "clip")
    (opener,) = openers(str(nameless))
    with opener() as source:
        assert isinstance(source, VideoFile)
        assert len(list(source)) == 3


def test_raw_video_is_a_video(tmp_path: Path) -> None:
    with av.open(str(write_clip(tmp_path / "a.mkv", 3))) as film, av.open(str(tmp_path / "a.m2v"), "w") as raw:
        clip, stream = film.streams.video[0], raw.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        for frame in film.decode(video=0):
            raw.mux(stream.encode(frame.reformat(format="yuv420p")))
        raw.mux(stream.encode(None))
    nameless = (tmp_path / "a.m2v").rename(tmp_path / "raw")
    (opener,) = openers(nameless)
    with opener() as source:
        assert len([frame for frame in source if not isinstance(frame.content, ImageError)]) == 3


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


class Server:
    """Answers any path with what it is given, and counts the requests."""

    def __init__(self, kind: str, content: bytes, status: int = 200) -> None:
        self.requests: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream"])
def test_a_picture_behind_a_url_is_fetched_once(tmp_path: Path, kind: str) -> None:
    with Server(kind, picture(tmp_path / "a.png", 200).read_bytes()) as server:
        with open_source(f"http://me:s3cr%40@{server.address}/street.png?token=s3cr") as source:
            assert (source.still, source.name) == (True, "street")
            (frame,) = source
        assert frame.image[0, 0].tolist() == [200, 0, 0]
        assert server.requests == ["Basic bWU6czNjckA="]  # me:s3cr@


def test_a_picture_that_is_not_there_is_one_clear_line_without_secrets() -> None:
    with Server("text/plain", b"none", 404) as server, pytest.raises(ImageError, match="is not there") as caught:
        open_source(f"http://me:s3cr@{server.address}/a.jpg?token=s3cr")
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("text/html", 200, r"a\.jpg: the server sends text/html, not a picture"),
        ("image/png", 403, r"a\.jpg: the server refuses it \(HTTP 403, Forbidden\)"),
    ],
)
def test_what_a_server_sends_instead_of_a_picture_is_told(kind: str, status: int, message: str) -> None:
    with Server(kind, b"<html>" * 9, status) as server, pytest.raises(ImageError, match=message):
        open_source(f"http://{server.address}/a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "video"])
def test_a_server_that_cannot_be_reached_is_told_with_the_reason(name: str) -> None:
    with Server("image/png", b"") as server:
        address = server.address
    with pytest.raises(ImageError, match=r"cannot be reached \(Connection refused\); check the address") as caught:
        open_source(f"http://me:s3cr@{address}/{name}")
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("ending", ["stream", "video.mjpg", "a.mjpeg", "a.mp4"])
def test_motion_jpeg_is_live_whatever_its_url_ends_with(ending: str) -> None:
    with mjpeg_server(frames_per_connection=1000) as url, open_source(url.replace("stream", ending)) as source:
        assert source.live
        assert next(iter(source)).image.shape == (120, 160, 3)


def test_linked_folders_belong_to_a_folder_and_each_is_visited_once(tmp_path: Path) -> None:
    picture(tmp_path / "all" / "a" / "b" / "1.png")
    picture(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "all" / "loop").symlink_to(tmp_path / "all")
    (tmp_path / "all" / "again").symlink_to(tmp_path / "all" / "a" / "b")
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "elsewhere")
    assert names(open_source(tmp_path / "all").paths, tmp_path / "all") == ["a/b/1.png", "linked/2.png"]


def test_brackets_in_the_names_of_folders_are_not_patterns(tmp_path: Path) -> None:
    picture(tmp_path / "set [1]" / "a.png")
    picture(tmp_path / "set 1" / "b.png")
    assert names(open_source(str(tmp_path / "set [1]" / "*.png")).paths, tmp_path) == ["set [1]/a.png"]


def test_pictures_that_cannot_be_read_are_counted_by_format(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "a.jfif")
    for name in ("b.CR2", "c.cr2", "d.psd", "note.txt"):
        (tmp_path / name).touch()
    assert names(open_source(tmp_path).paths, tmp_path) == ["a.jfif"]
    assert "files in formats that cannot be read are left out: 2 .cr2, 1 .psd" in capfd.readouterr().err


def test_a_folder_stands_for_its_pictures_and_each_of_its_videos(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for name in ("x/street.mp4", "y/street.avi"):
        (tmp_path / name).parent.mkdir()
        write_clip(tmp_path / name, 3)
    frames = [[frame.name for frame in opener()] for opener in openers(tmp_path)]
    assert frames == [["a"], [f"street_00000{i}" for i in range(3)], [f"street-2_00000{i}" for i in range(3)]]


def test_a_gif_is_a_picture_unless_it_moves(tmp_path: Path) -> None:
    still, moving = Image.new("RGB", (8, 8)), [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 99, 200)]
    still.save(tmp_path / "a.gif")
    moving[0].save(tmp_path / "b.gif", save_all=True, append_images=moving[1:])
    assert (open_source(tmp_path / "a.gif").still, len(list(open_source(tmp_path / "a.gif")))) == (True, 1)
    assert (open_source(tmp_path / "b.gif").still, len(list(open_source(tmp_path / "b.gif")))) == (False, 3)
