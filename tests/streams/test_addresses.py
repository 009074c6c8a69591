"""What is shown of a URL."""

from __future__ import annotations

import pytest

from afformer.streams.addresses import name_of, without_secrets

SECRET = "s3cr"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://me:s3cr@gate:554/x",
        "rtsp://me:s3cr@s3cr@gate/x",
        "rtsp://me:a/s3cr@gate/x",
        "rtsp://me:a?s3cr@gate/x",
        "rtsp://me:a#s3cr@gate/x",
        "rtsp://me:12/s3cr@gate/x",
        "rtsp://me:s3cr@a/s3cr@gate/x",
        "rtsp://s3cr@gate/x",
        "rtsp:/me:s3cr@gate/x",
        "me:s3cr@gate/x",
        "RTSP://me:s3cr@gate/x",
        "http://gate/a.mp4?password=s3cr",
        "http://gate/x?a=1&token=s3cr#b",
        "http://gate/x;password=s3cr",
        "http://gate/x#token=s3cr",
        "rtsp://gate/user=admin&password=s3cr&channel=1",
        "rtsp://gate/user=admin_password=s3cr_channel=1.sdp",
        "rtmp://gate/live?key=s3cr",
        "//me:s3cr@gate/x",
        "  rtsp://me:s3cr@gate/x",
        "concat:http://me:s3cr@gate/a|http://me:s3cr@gate/b",
        "rtsp://gate/admin:s3cr@stream",
    ],
)
def test_no_secret_is_shown_nor_in_a_name(url: str) -> None:
    assert SECRET not in without_secrets(url)
    assert "gate" in without_secrets(url)
    assert SECRET not in name_of(url, "stream")


@pytest.mark.parametrize(
    "location",
    ["rtsp://gate:554/street", "photo@2x.png", "/a:b/c@d.png", "12:30 @home.mp4", "/home/me/a.png", "C:/a@b.png"],
)
def test_what_has_no_secret_stays_as_it_is(location: str) -> None:
    assert without_secrets(location) == location


@pytest.mark.parametrize(
    ("url", "name"),
    [("http://a/b/street.mp4?x=1", "street"), ("http://a/%C3%BCber%20all.jpg", "über_all"), ("http://a", "stream")],
)
def test_outputs_are_named_after_the_file(url: str, name: str) -> None:
    assert name_of(url, "stream") == name
