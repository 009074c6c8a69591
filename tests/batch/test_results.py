"""Whose results a folder may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from afformer.errors import OutputError

pytest.importorskip("pyarrow", reason="Parquet needs the extra `ray`")

from afformer.batch.places import Folder
from afformer.batch.results import JOB_FILE, check_same, write_job

JOB = {"model": "1" * 64, "fit": "stretch"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with results of `JOB`."""
    write_job(Folder(str(tmp_path)), JOB)
    (tmp_path / "part-0123.parquet").touch()
    return tmp_path


def test_a_folder_takes_more_results_of_the_same_job(out: Path) -> None:
    check_same(Folder(str(out)), JOB)


def test_results_of_another_job_are_refused_with_what_differs(out: Path) -> None:
    with pytest.raises(OutputError, match="made with another fit;"):
        check_same(Folder(str(out)), {**JOB, "fit": "pad"})


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_results_of_an_unreadable_job_are_refused(out: Path, text: str) -> None:
    (out / JOB_FILE).write_text(text)
    with pytest.raises(OutputError, match=r"_job\.json"):
        check_same(Folder(str(out)), JOB)


def test_results_that_do_not_say_whose_they_are_are_refused(out: Path) -> None:
    (out / JOB_FILE).unlink()
    with pytest.raises(OutputError, match=r"no _job\.json"):
        check_same(Folder(str(out)), JOB)


def test_a_job_that_has_no_results_yet_gives_way(out: Path) -> None:
    (out / "part-0123.parquet").unlink()
    check_same(Folder(str(out)), {**JOB, "fit": "pad"})
