"""The dock *Jobs*: progress, pause, cancel, failures."""

from __future__ import annotations

import re
import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QWidget

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from studio.gui.background.job import Job, JobContext, JobState
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import RUN_MS, Desk

pytestmark = pytest.mark.slow

MANY = SHOP.replace("replications: 4", "replications: 100000")


class Counting:
    """Work that does one unit whenever the test says so, and waits while it is paused."""

    def __init__(self, total: int) -> None:
        self.total, self.may = total, threading.Semaphore(0)

    def __call__(self, talk: JobContext) -> None:
        for number in range(1, self.total + 1):
            while not self.may.acquire(timeout=0.01):
                if talk.should_stop():
                    return
            talk.rest_while_paused()
            if talk.should_stop():
                return
            talk.publish(number)
            talk.report_progress(number, self.total)


def row(desk: Desk, job: Job) -> QWidget:
    return desk.window.jobs_panel.rows[job]


def button(desk: Desk, name: str) -> QPushButton:
    return desk.find(QPushButton, name)


def words(desk: Desk, job: Job) -> str:
    """Return the text beside the job's title."""
    looks = ("soft", "bad")
    labels = [one for one in row(desk, job).findChildren(QLabel) if one.objectName() in looks]
    assert len(labels) == 1
    return labels[0].text()


def titles(desk: Desk) -> list[str]:
    return [job.title for job in desk.window.jobs.jobs]


@pytest.fixture
def shown(desk: Desk) -> Desk:
    """A window with the dock *Jobs* open."""
    desk.keys(Qt.Key.Key_F8)
    assert desk.window.jobs_panel.isVisible()
    return desk


def test_an_empty_list_of_jobs_has_a_sentence(shown: Desk) -> None:
    said = [one.text() for one in shown.window.jobs_panel.findChildren(QLabel) if one.isVisible()]
    assert said == ["Jobs", "No job has run in the background yet."]


def test_a_job_shows_its_progress_and_can_be_paused_and_resumed(shown: Desk) -> None:
    work, landed = Counting(400), list[object]()
    job = shown.window.jobs.run("Count", work, landed.append)
    assert words(shown, job) == ""
    work.may.release(137)
    shown.qtbot.waitUntil(lambda: len(landed) == 137)
    bar = shown.find(QProgressBar, "Progress of Count")
    shown.qtbot.waitUntil(lambda: job.done > 0)
    assert bar.isVisible()
    assert (bar.value(), bar.maximum()) == (job.done, 400)
    assert re.fullmatch(rf"{job.done}/400 · about \d+ (s|min) left", words(shown, job))
    assert shown.window.bottom_bar.status_text == ""  # only a comparison is told there

    shown.click(button(shown, "Pause Count"))
    assert job.state is JobState.PAUSED
    assert words(shown, job) == f"{job.done}/400 · paused"
    assert button(shown, "Pause Count").text() == "Resume"
    work.may.release(263)
    before = len(landed)
    assert job.remaining_s is None
    button(shown, "Pause Count").setFocus()
    shown.keys(Qt.Key.Key_Space)
    assert job.state is JobState.RUNNING
    shown.qtbot.waitUntil(lambda: not job.is_open)
    assert before < 400
    assert landed == list(range(1, 401))
    assert words(shown, job) == "400/400 · ✓ done"
    assert not bar.isVisible()
    assert not button(shown, "Pause Count").isVisible()
    assert not button(shown, "Cancel Count").isVisible()


def test_a_cancelled_job_keeps_its_published_results(shown: Desk) -> None:
    work, landed = Counting(400), list[object]()
    job = shown.window.jobs.run("Count", work, landed.append)
    work.may.release(100)
    shown.qtbot.waitUntil(lambda: len(landed) == 100)
    shown.click(button(shown, "Cancel Count"))
    assert job.state is JobState.CANCELLED
    assert words(shown, job) == f"{job.done}/400 · cancelled"
    work.may.release(300)
    shown.qtbot.waitUntil(lambda: not shown.window.jobs.threads())
    assert landed == list(range(1, 101))  # what it might still say is not heard


def test_a_paused_job_can_be_cancelled(shown: Desk) -> None:
    work = Counting(10)
    job = shown.window.jobs.run("Count", work)
    job.pause(True)
    work.may.release(10)
    shown.click(button(shown, "Cancel Count"))
    assert job.state is JobState.CANCELLED
    shown.qtbot.waitUntil(lambda: not shown.window.jobs.threads())


FAILURES = [
    (BadInput("fleet.yaml:3: window: 9: must not exceed the fleet (6)"),
     "fleet.yaml:3: window: 9: must not exceed the fleet (6)"),
    (ZeroDivisionError("a defect"), "Fail broke off: ZeroDivisionError: a defect"),
    (ValueError("first\nsecond"), "Fail broke off: ValueError: first"),
    (KeyError(), "Fail broke off: KeyError: "),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said"), FAILURES, ids=[str(one[1])[:20] for one in FAILURES])
def test_a_failed_job_says_why(shown: Desk, error: Exception, said: str) -> None:
    def fails(_talk: JobContext) -> None:
        raise error

    job = shown.window.jobs.run("Fail", fails)
    shown.qtbot.waitUntil(lambda: not job.is_open)
    assert job.state is JobState.FAILED
    assert words(shown, job) == f"✗ {said}"
    assert shown.window.status_text == f"✗ {said}"


def test_the_youngest_is_on_top_and_the_oldest_are_forgotten(shown: Desk) -> None:
    done: list[object] = []
    for number in range(40):
        shown.window.jobs.run(f"Job {number}", lambda talk: talk.publish(1), done.append)
    shown.qtbot.waitUntil(lambda: not any(job.is_open for job in shown.window.jobs.jobs))
    last = shown.window.jobs.run("The last", lambda _talk: None)
    shown.qtbot.waitUntil(lambda: not last.is_open)
    listed = titles(shown)
    assert listed[:3] == ["The last", "Job 39", "Job 38"]
    assert 30 <= len(listed) <= 31
    assert set(shown.window.jobs_panel.rows) == set(shown.window.jobs.jobs)
    rows = [row(shown, job) for job in shown.window.jobs.jobs]
    shown.qtbot.waitUntil(lambda: rows[0].y() < rows[1].y() < rows[2].y())


def test_a_comparison_is_a_job_like_others(shown: Desk) -> None:
    shown.document.open(ScenarioFile.parse(MANY))
    shown.keys(Qt.Key.Key_F5)
    study = shown.window.jobs.study
    assert study is not None
    shown.qtbot.waitUntil(lambda: study.done > 0, timeout=RUN_MS)
    bottom = shown.window.bottom_bar
    shown.click(bottom.pause_button)
    assert study.state is JobState.PAUSED
    assert bottom.pause_button.text() == "Resume"
    assert words(shown, study).endswith(" · paused")
    shown.keys(Qt.Key.Key_F5, Qt.KeyboardModifier.ShiftModifier)
    assert study.state is JobState.RUNNING
    before = study.done
    shown.qtbot.waitUntil(lambda: study.done > before, timeout=RUN_MS)
    shown.click(button(shown, f"Cancel {study.title}"))
    assert study.state is JobState.CANCELLED
    assert not shown.window.jobs.is_running
    assert not bottom.pause_button.isVisible()
    assert shown.document.comparison is not None
    assert shown.window.runs.table.texts()


def test_a_failed_import_shows_the_reason_and_keeps_the_open_scenario(shown: Desk) -> None:
    log = shown.folder / "access.log"
    log.write_text("no log of any kind\n", encoding="utf-8")
    target = shown.folder / "made.yaml"
    shown.window.filing._import([log], target)
    (job,) = shown.window.jobs.jobs
    shown.qtbot.waitUntil(lambda: not job.is_open, timeout=RUN_MS)
    assert job.state is JobState.FAILED
    assert str(log) in shown.window.status_text
    assert "\n" not in shown.window.status_text
    assert not target.exists()
    assert shown.document.scenario.name == "shop"


def test_a_long_title_is_shortened_with_the_whole_title_in_the_tooltip(shown: Desk) -> None:
    title = "Compare " + "x" * 80
    job = shown.window.jobs.run(title, lambda _talk: None)
    shown.qtbot.waitUntil(lambda: not job.is_open)
    shown.window.resize(1024, 640)
    label = next(
        one
        for one in row(shown, job).findChildren(QLabel)
        if one.accessibleName() == f"Job: {title}"
    )
    assert label.text() == title
    assert row(shown, job).width() <= shown.window.jobs_panel.width()
