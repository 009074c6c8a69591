"""Video files with what cameras and phones put into them, made with PyAV, and what is in a video file."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.builders.videos import street

BASE = Fraction(1, 90_000)
_COARSE = {"mpeg4": Fraction(1, 30_000), "wmv2": Fraction(1, 1000), "gif": Fraction(1, 100)}
"""Units of the times that other codecs need."""
_FAST = {"libvpx": {"deadline": "realtime", "cpu-used": "16"}}
"""Options of encoders that would take seconds."""


@dataclass(frozen=True)
class Film:
    """What a video file holds.

    Attributes:
        times_s: When each frame is shown, in seconds.
        size_hw: Of the frames, as they are stored.
        aspect: Width of a pixel as a multiple of its height.
        codec: Of the video.
        sound: Codec and times of each packet of each sound track.
    """

    times_s: list[float]
    size_hw: tuple[int, int]
    aspect: Fraction
    codec: str
    sound: list[tuple[str, list[float]]] = field(default_factory=list)


def film(path: Path) -> Film:
    """What is really in a video file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        sounds: list[tuple[str, list[float]]] = [
            (s.codec_context.codec.canonical_name, []) for s in container.streams.audio
        ]
        times = []
        for packet in container.demux():
            if packet.stream.type == "audio" and packet.pts is not None:
                sounds[container.streams.audio.index(packet.stream)][1].append(float(packet.pts * packet.time_base))
            elif packet.stream is video:
                frames: list[Any] = list(packet.decode())
                times += [float(frame.pts * frame.time_base) for frame in frames]
        aspect = video.sample_aspect_ratio or Fraction(1)
        return Film(times, (video.height, video.width), aspect, video.codec_context.name, sounds)


def write_film(
    path: Path,
    times_s: list[float],
    *,
    size_hw: tuple[int, int] = (120, 160),
    codec: str = "libx264",
    aspect: Fraction = Fraction(1),
    rotation: int = 0,
    sound: str = "",
    sound_s: float = 1.0,
    sound_at_s: float = 0.0,
    cover: bool = False,
    colours: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    base: Fraction = BASE,
) -> Path:
    """A film past the taxis, with frames at these times, in seconds.

    Args:
        path: Where to.
        times_s: When each frame is shown.
        size_hw: Of the frames as they are stored.
        codec: FFmpeg's name of the video encoder.
        aspect: Width of a pixel as a multiple of its height.
        rotation: Degrees by which players turn the picture counter-clockwise.
        sound: FFmpeg's name of the sound's encoder; none without it.
        sound_s: Seconds of sound.
        sound_at_s: When it begins.
        cover: Whether a still picture comes first, as another video stream.
        colours: ITU-T H.273 numbers, such as `color_trc`.
        options: Of the container.
        base: The unit of the times, where the codec takes any.
    """
    pictures = street(len(times_s), size_hw)
    with av.open(str(path), "w", options=options or {}) as container:
        still: Any = container.add_stream("mjpeg", rate=25) if cover else None
        if still:
            still.width, still.height, still.pix_fmt = 640, 480, "yuvj420p"
        video: Any = container.add_stream(codec, rate=25, options=_FAST.get(codec, {}))
        video.height, video.width = size_hw
        video.pix_fmt = "yuv420p10le" if colours else "rgb8" if codec == "gif" else "yuv420p"
        base = _COARSE.get(codec, base)
        video.time_base = video.codec_context.time_base = base
        video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        for name, value in (colours or {}).items():
            setattr(video.codec_context, name, value)
        voice: Any = container.add_stream(sound, rate=48_000) if sound else None
        if voice:
            voice.layout = "mono"
        if still:
            container.mux(still.encode(_frame(np.zeros((480, 640, 3), np.uint8), "yuvj420p", 0)))
            container.mux(still.encode(None))
        for picture, time_s in zip(pictures, times_s, strict=True):
            frame = _frame(picture, video.pix_fmt, round(time_s / base))
            for name, value in (colours or {}).items():
                setattr(frame, name, value)
            frame.time_base = base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice:
            _tone(container, voice, sound_s, sound_at_s)
    return path


def _frame(picture: Any, pixels: str, pts: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
    frame.pts = pts
    return frame


def _tone(container: Any, voice: Any, seconds: float, start_s: float) -> None:
    samples = np.sin(np.arange(int(seconds * 48_000)) * (2 * np.pi * 440 / 48_000))
    form = voice.codec_context.format.name
    wave = (samples * 8000).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, round(start_s * 48_000), Fraction(1, 48_000)
    resampler = av.AudioResampler(form, "mono", 48_000, frame_size=voice.codec_context.frame_size or 1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(voice.encode(part))
    container.mux(voice.encode(None))
