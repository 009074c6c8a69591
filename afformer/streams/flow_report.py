"""What a flow did: frames, times, files, and why it ended."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any

from afformer.streams.frames import Frame


class Ending(enum.Enum):
    """Why a flow ended."""

    SOURCE = "end of the source"
    STOPPED = "stopped by the caller"
    QUIT = "quit in the window"
    INTERRUPTED = "interrupted"
    """By Ctrl-C or the system (SIGINT, SIGTERM)."""


@dataclasses.dataclass
class StageSeconds:
    """Seconds of work in each stage, without waiting for other stages. Stages overlap, so the sum exceeds the total.

    Attributes:
        read: Waiting for, decoding and converting frames.
        segment: Segmenting.
        write: Smoothing, drawing, encoding, showing.
    """

    read: float = 0.0
    segment: float = 0.0
    write: float = 0.0


@dataclasses.dataclass
class FlowReport:
    """What a flow did.

    Attributes:
        frames: Frames segmented and written.
        failures: Frames that could not be read, with their errors.
        dropped: Frames that a live source dropped because newer ones had come.
        seconds: From the first frame asked for to the last file finished.
        stages: Where the time went.
        worst_age_s: Longest time from a live frame's arrival to the start of its segmentation; 0 for files.
        worst_delay_s: Longest time from a live frame's arrival to its result being written; 0 for files.
        finished: Files that the sinks put in place at the end, such as a video.
        ending: Why it ended.
    """

    frames: int = 0
    failures: list[Frame] = dataclasses.field(default_factory=list)
    dropped: int = 0
    seconds: float = 0.0
    stages: StageSeconds = dataclasses.field(default_factory=StageSeconds)
    worst_age_s: float = 0.0
    worst_delay_s: float = 0.0
    finished: list[Path] = dataclasses.field(default_factory=list)
    ending: Ending = Ending.SOURCE

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or the system ended it."""
        return self.ending is Ending.INTERRUPTED

    def add(self, other: FlowReport) -> None:
        """Adds what another flow did after this one."""
        for field in ("frames", "dropped", "seconds"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for field in ("read", "segment", "write"):
            setattr(self.stages, field, getattr(self.stages, field) + getattr(other.stages, field))
        self.worst_age_s = max(self.worst_age_s, other.worst_age_s)
        self.worst_delay_s = max(self.worst_delay_s, other.worst_delay_s)
        self.failures += other.failures
        self.finished += other.finished
        self.ending = other.ending

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            **dataclasses.asdict(dataclasses.replace(self, failures=[], finished=[])),
            "failures": [str(frame.content) for frame in self.failures],
            "finished": [str(path) for path in self.finished],
            "ending": self.ending.value,
        }
