"""What the doctor found, as data and as a table."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any

from afformer.errors import AfformerError
from afformer.measure.machine import Machine
from afformer.measure.tables import plain


class State(enum.Enum):
    """The state of what was checked."""

    READY = "ready"
    MISSING = "missing"
    BROKEN = "broken"
    """Present, but not working."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        group: Heading that it is shown under.
        name: What was checked.
        state: Its state.
        detail: Version, or what is wrong.
        remedy: Command that helps; empty if there is none.
    """

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """All findings.

    Attributes:
        machine: Processor, system, packages.
        findings: In the order in which they are shown.
    """

    machine: Machine
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return dict(plain(self))

    def to_text(self) -> str:
        """A table for people."""
        marks = {State.READY: "ok", State.MISSING: "--", State.BROKEN: "!!"}
        width = max(len(finding.name) for finding in self.findings)
        lines = [self.machine.to_text()]
        group = ""
        for finding in self.findings:
            if finding.group != group:
                group = finding.group
                lines += ["", group]
            lines.append(f"  {marks[finding.state]}  {finding.name:<{width}}  {finding.detail}".rstrip())
            if finding.remedy:
                lines.append(f"      {'':<{width}}  $ {finding.remedy}")
        return "\n".join(lines)


class BrokenError(Exception):
    """What was checked does not work; `remedy` is the command that helps."""

    state = State.BROKEN

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.remedy = remedy


class MissingError(BrokenError):
    """What was checked is not there."""

    state = State.MISSING


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing to check.

    Attributes:
        group: Heading that it is shown under.
        name: What is checked.
        look: Returns the details of something that works; raises what is wrong.
        remedy: Command that helps, unless the error names a better one.
    """

    group: str
    name: str
    look: Callable[[], str]
    remedy: str = ""

    def run(self) -> Finding:
        """The finding. Nothing that `look` raises is passed on."""
        try:
            return Finding(self.group, self.name, State.READY, self.look())
        except BrokenError as error:
            return Finding(self.group, self.name, error.state, str(error), error.remedy or self.remedy)
        except ModuleNotFoundError as error:
            detail = f"the Python module '{error.name}' is not installed"
            return Finding(self.group, self.name, State.MISSING, detail, self.remedy)
        except Exception as error:  # whatever a broken installation raises is the finding
            detail = " ".join(str(error).split()) or type(error).__name__
            # the message of an AfformerError says what to do
            remedy = "" if isinstance(error, AfformerError) else self.remedy
            return Finding(self.group, self.name, State.BROKEN, detail, remedy)
