"""The sound of a source in its annotated video: copied where the container takes it, else encoded again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, cast

import av

from afformer.streams.continuity import JUMPING, Continuity
from afformer.streams.frames import Track

log = logging.getLogger(__name__)

_MP4 = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_COPIED = {
    ".mp4": _MP4,
    ".m4v": {"aac", "ac3", "alac"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_mulaw", "pcm_alaw"},
    ".mkv": _MP4 | {"vorbis", "dts", "truehd", "mp2", "pcm_s16le", "pcm_s24le"},
    ".avi": {"mp3", "ac3", "mp2", "pcm_s16le"},
}
_ENCODED = {".avi": "ac3"}
_RATE = 48_000
_SEARCHED = {"probesize": str(100 << 20), "analyzeduration": str(120 * 1_000_000)}
"""How far FFmpeg looks for sound that begins late, in bytes and microseconds."""


class Sound:
    """The sound tracks of a file, written up to the time of the pictures, so that players find both close together.

    Args:
        source: The open file that holds the sound.
        target: The video that is written.
        suffix: The video's extension.
    """

    def __init__(self, source: av.container.InputContainer, target: av.container.OutputContainer, suffix: str) -> None:
        self._source, self._target = source, target
        self._start = Fraction(source.start_time or 0, av.time_base)
        self._writers: dict[int, _Copy | _Encode] = {}
        tracks = [stream for stream in source.streams.audio if _is_known(stream)]
        for stream in tracks:
            if stream.codec_context.codec.canonical_name in _COPIED[suffix]:
                self._writers[stream.index] = _Copy(stream, target)
            else:
                self._writers[stream.index] = _Encode(stream, target, _ENCODED.get(suffix, "aac"))
        jumping = source.format.name in JUMPING
        self._times = {index: Continuity(jumping=jumping) for index in self._writers}
        self._tracks = tracks
        self._packets = source.demux(*tracks) if tracks else iter(())
        self._next: av.Packet[Any] | None = None
        self._fetch()

    @classmethod
    def of(cls, track: Track, target: av.container.OutputContainer, suffix: str, title: str) -> Sound | None:
        """The sound of a track; None, with a warning if there should be some, if it has none that can be read."""
        if track.sound is None:
            return None
        try:
            source = av.open(str(track.sound), options=_SEARCHED)
            unknown = sum(not _is_known(stream) for stream in source.streams.audio)
            if unknown:
                log.warning(
                    "%s: is written without sound that is in an unknown form (%d of its tracks)", title, unknown
                )
            return cls(source, target, suffix)
        except (av.error.FFmpegError, ValueError) as error:
            log.warning("%s: is written without sound, which cannot be read (%s)", title, error_text(error))
            return None

    def write_until(self, time_s: Fraction) -> None:
        """Writes what sounds before this time, in seconds since the start of the source."""
        self._write(lambda packet: _time(packet) - self._start <= time_s)

    def finish(self, end_s: Fraction | None) -> None:
        """Writes the rest, up to this time in seconds if there is one."""
        self._write(lambda packet: end_s is None or _time(packet) - self._start < end_s)
        for writer in self._writers.values():
            self._target.mux(writer.rest())

    def close(self) -> None:
        """Closes the source."""
        self._source.close()

    def _write(self, due: Callable[[av.Packet[Any]], bool]) -> None:
        while self._next is not None and due(self._next):
            self._target.mux(self._writers[self._next.stream_index].packets(self._next, self._start))
            self._fetch()

    def _fetch(self) -> None:
        """The next packet with a time; None at the end, also where the source is cut off, which its frames tell."""
        try:
            self._next = next((packet for packet in self._packets if packet.pts is not None), None)
        except IndexError:  # a stream that appears on the way ends PyAV's iteration, not the sound
            self._packets = self._source.demux(*self._tracks)
            self._fetch()
            return
        except av.error.FFmpegError:
            self._next = None
        if self._next is not None:
            self._next.pts = round(
                self._times[self._next.stream_index].time_of(_time(self._next)) / self._next.time_base
            )


class _Copy:
    """Copies packets as they are."""

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer) -> None:
        self._stream = target.add_stream_from_template(stream)
        self._last = -(1 << 62)

    def packets(self, packet: av.Packet[Any], start: Fraction) -> list[av.Packet[Any]]:
        shift = round(start / packet.time_base)
        self._last = max((packet.pts or 0) - shift, self._last + 1)
        packet.pts = packet.dts = self._last
        packet.stream = self._stream
        return [packet]

    def rest(self) -> list[av.Packet[Any]]:
        return []


class _Encode:
    """Decodes and encodes again."""

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer, codec: str) -> None:
        self._stream = cast(Any, target.add_stream(codec, rate=_RATE))
        source: Any = stream.codec_context
        layout = "stereo" if source.layout.nb_channels > 1 else "mono"
        self._stream.layout = layout
        form = self._stream.codec_context.codec.audio_formats
        self._resampler = av.AudioResampler(form[0].name if form else "fltp", layout, _RATE)

    def packets(self, packet: av.Packet[Any], start: Fraction) -> list[av.Packet[Any]]:
        try:
            frames: list[Any] = list(packet.decode())
        except av.error.FFmpegError:  # one damaged packet is a short silence
            return []
        return [done for frame in frames for done in self._encoded(frame, start)]

    def rest(self) -> list[av.Packet[Any]]:
        return [*self._encoded(None, Fraction(0)), *self._stream.encode(None)]

    def _encoded(self, frame: av.AudioFrame | None, start: Fraction) -> Iterator[av.Packet[Any]]:
        if frame is not None and frame.pts is not None and frame.time_base:
            frame.pts = frame.pts - round(start / frame.time_base)
        for resampled in self._resampler.resample(frame):
            yield from self._stream.encode(resampled)


def _is_known(stream: av.AudioStream) -> bool:
    """Whether the decoder, the rate and the channels are known."""
    context: Any = stream.codec_context
    return context is not None and context.sample_rate > 0 and context.layout.nb_channels > 0


def error_text(error: Exception) -> str:
    """FFmpeg's reason, without the file's name, which may hold a password."""
    return getattr(error, "strerror", None) or type(error).__name__


def _time(packet: av.Packet[Any]) -> Fraction:
    return Fraction(packet.pts or 0) * Fraction(packet.time_base)
