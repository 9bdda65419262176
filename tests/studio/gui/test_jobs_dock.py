"""The dock *Jobs*: progress, pause, cancel, failures."""

from __future__ import annotations

import re
import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QWidget

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from simulation.study.store import SUFFIX
from studio.gui.background.job import Job, JobContext, JobState
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import state_of
from tests.studio.gui.conftest import RUN_MS, Desk

pytestmark = pytest.mark.slow

MANY = SHOP.replace("replications: 4", "replications: 100000")


class Counting:
    """Work that does one unit whenever the test says so, and waits while it is paused."""

    def __init__(self, total: int) -> None:
        self.total, self.may = total, threading.Semaphore(0)

    def __call__(self, context: JobContext) -> None:
        for number in range(1, self.total + 1):
            while not self.may.acquire(timeout=0.01):
                if context.should_stop():
                    return
            context.rest_while_paused()
            if context.should_stop():
                return
            context.publish(number)
            context.report_progress(number, self.total)


def row(desk: Desk, job: Job) -> QWidget:
    return desk.window.jobs_panel.rows[job]


def button(desk: Desk, name: str) -> QPushButton:
    return desk.find(QPushButton, name)


def words(desk: Desk, job: Job) -> str:
    """Return the text beside the job's title."""
    looks = ("soft", "bad")
    labels = [label for label in row(desk, job).findChildren(QLabel) if label.objectName() in looks]
    assert len(labels) == 1
    return labels[0].text()


def titles(desk: Desk) -> list[str]:
    return [job.title for job in desk.window.jobs.jobs]


@pytest.fixture
def jobs_desk(desk: Desk) -> Desk:
    """A window with the dock *Jobs* open."""
    desk.keys(Qt.Key.Key_F8)
    assert desk.window.jobs_panel.isVisible()
    return desk


def test_an_empty_list_of_jobs_has_a_sentence(jobs_desk: Desk) -> None:
    texts = [
        label.text()
        for label in jobs_desk.window.jobs_panel.findChildren(QLabel)
        if label.isVisible()
    ]
    assert texts == ["Jobs", "No job has run in the background yet."]


def test_a_job_shows_its_progress_and_can_be_paused_and_resumed(jobs_desk: Desk) -> None:
    work, results = Counting(400), list[object]()
    job = jobs_desk.window.jobs.run("Count", work, results.append)
    assert words(jobs_desk, job) == ""
    work.may.release(137)
    jobs_desk.qtbot.waitUntil(lambda: len(results) == 137)
    bar = jobs_desk.find(QProgressBar, "Progress of Count")
    jobs_desk.qtbot.waitUntil(lambda: job.done > 0)
    assert bar.isVisible()
    assert (bar.value(), bar.maximum()) == (job.done, 400)
    assert re.fullmatch(rf"{job.done}/400 · about \d+ (s|min) left", words(jobs_desk, job))
    assert jobs_desk.window.bottom_bar.status_text == ""  # the bottom bar shows comparisons only

    jobs_desk.click(button(jobs_desk, "Pause Count"))
    assert state_of(job) is JobState.PAUSED
    assert words(jobs_desk, job) == f"{job.done}/400 · paused"
    assert button(jobs_desk, "Pause Count").text() == "Resume"
    work.may.release(263)
    before = len(results)
    assert job.remaining_s is None
    button(jobs_desk, "Pause Count").setFocus()
    jobs_desk.keys(Qt.Key.Key_Space)
    assert state_of(job) is JobState.RUNNING
    jobs_desk.qtbot.waitUntil(lambda: not job.is_open)
    assert before < 400
    assert results == list(range(1, 401))
    assert words(jobs_desk, job) == "400/400 · ✓ done"
    assert not bar.isVisible()
    assert not button(jobs_desk, "Pause Count").isVisible()
    assert not button(jobs_desk, "Cancel Count").isVisible()


def test_a_cancelled_job_keeps_its_published_results(jobs_desk: Desk) -> None:
    work, results = Counting(400), list[object]()
    job = jobs_desk.window.jobs.run("Count", work, results.append)
    work.may.release(100)
    jobs_desk.qtbot.waitUntil(lambda: len(results) == 100)
    jobs_desk.click(button(jobs_desk, "Cancel Count"))
    assert job.state is JobState.CANCELLED
    assert words(jobs_desk, job) == f"{job.done}/400 · cancelled"
    work.may.release(300)
    jobs_desk.qtbot.waitUntil(lambda: not jobs_desk.window.jobs.threads())
    assert results == list(range(1, 101))  # later results are dropped


def test_a_paused_job_can_be_cancelled(jobs_desk: Desk) -> None:
    work = Counting(10)
    job = jobs_desk.window.jobs.run("Count", work)
    job.pause(True)
    work.may.release(10)
    jobs_desk.click(button(jobs_desk, "Cancel Count"))
    assert job.state is JobState.CANCELLED
    jobs_desk.qtbot.waitUntil(lambda: not jobs_desk.window.jobs.threads())


FAILURES = [
    (BadInput("fleet.yaml:3: window: 9: must not exceed the fleet (6)"),
     "fleet.yaml:3: window: 9: must not exceed the fleet (6)"),
    (ZeroDivisionError("a defect"), "Fail broke off: ZeroDivisionError: a defect"),
    (ValueError("first\nsecond"), "Fail broke off: ValueError: first"),
    (KeyError(), "Fail broke off: KeyError: "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "texts"), FAILURES, ids=[str(failure[1])[:20] for failure in FAILURES]
)
def test_a_failed_job_says_why(jobs_desk: Desk, error: Exception, texts: str) -> None:
    def fails(_context: JobContext) -> None:
        raise error

    job = jobs_desk.window.jobs.run("Fail", fails)
    jobs_desk.qtbot.waitUntil(lambda: not job.is_open)
    assert job.state is JobState.FAILED
    assert words(jobs_desk, job) == f"✗ {texts}"
    assert jobs_desk.window.status_text == f"✗ {texts}"


def test_a_comparison_that_cannot_be_stored_goes_on_and_says_so(jobs_desk: Desk) -> None:
    """The store's file is a folder here: the dock and the bottom bar say it in one line."""
    store = jobs_desk.path.with_name(jobs_desk.path.name.removesuffix(".yaml") + SUFFIX)
    store.mkdir()
    jobs_desk.window.jobs.start()
    study = jobs_desk.window.jobs.study
    assert study is not None
    jobs_desk.qtbot.waitUntil(lambda: not study.is_open, timeout=RUN_MS)
    said = f"{store}: results are not stored: unable to open database file"
    assert study.state is JobState.DONE
    assert study.warning_text == said
    assert words(jobs_desk, study).endswith(f"✓ done · ! {said}")
    assert said in jobs_desk.window.status_text


def test_the_youngest_is_on_top_and_the_oldest_are_forgotten(jobs_desk: Desk) -> None:
    done: list[object] = []
    for number in range(40):
        jobs_desk.window.jobs.run(f"Job {number}", lambda context: context.publish(1), done.append)
    jobs_desk.qtbot.waitUntil(lambda: not any(job.is_open for job in jobs_desk.window.jobs.jobs))
    last = jobs_desk.window.jobs.run("The last", lambda _context: None)
    jobs_desk.qtbot.waitUntil(lambda: not last.is_open)
    listed = titles(jobs_desk)
    assert listed[:3] == ["The last", "Job 39", "Job 38"]
    assert 30 <= len(listed) <= 31
    assert set(jobs_desk.window.jobs_panel.rows) == set(jobs_desk.window.jobs.jobs)
    rows = [row(jobs_desk, job) for job in jobs_desk.window.jobs.jobs]
    jobs_desk.qtbot.waitUntil(lambda: rows[0].y() < rows[1].y() < rows[2].y())


def test_a_comparison_is_a_job_like_others(jobs_desk: Desk) -> None:
    jobs_desk.document.open(ScenarioFile.parse(MANY))
    jobs_desk.keys(Qt.Key.Key_F5)
    study = jobs_desk.window.jobs.study
    assert study is not None
    jobs_desk.qtbot.waitUntil(lambda: study.done > 0, timeout=RUN_MS)
    bottom = jobs_desk.window.bottom_bar
    jobs_desk.click(bottom.pause_button)
    assert state_of(study) is JobState.PAUSED
    assert bottom.pause_button.text() == "Resume"
    assert words(jobs_desk, study).endswith(" · paused")
    jobs_desk.keys(Qt.Key.Key_F5, Qt.KeyboardModifier.ShiftModifier)
    assert state_of(study) is JobState.RUNNING
    before = study.done
    jobs_desk.qtbot.waitUntil(lambda: study.done > before, timeout=RUN_MS)
    jobs_desk.click(button(jobs_desk, f"Cancel {study.title}"))
    assert study.state is JobState.CANCELLED
    assert not jobs_desk.window.jobs.is_running
    assert not bottom.pause_button.isVisible()
    assert jobs_desk.document.comparison is not None
    assert jobs_desk.window.runs.table.texts()


def test_a_failed_import_shows_the_reason_and_keeps_the_open_scenario(jobs_desk: Desk) -> None:
    log = jobs_desk.folder / "access.log"
    log.write_text("no log of any kind\n", encoding="utf-8")
    target = jobs_desk.folder / "made.yaml"
    jobs_desk.window.filing._import([log], target)
    (job,) = jobs_desk.window.jobs.jobs
    jobs_desk.qtbot.waitUntil(lambda: not job.is_open, timeout=RUN_MS)
    assert job.state is JobState.FAILED
    assert str(log) in jobs_desk.window.status_text
    assert "\n" not in jobs_desk.window.status_text
    assert not target.exists()
    assert jobs_desk.document.scenario.name == "shop"


def test_a_long_title_is_shortened_with_the_whole_title_in_the_tooltip(jobs_desk: Desk) -> None:
    title = "Compare " + "x" * 80
    job = jobs_desk.window.jobs.run(title, lambda _context: None)
    jobs_desk.qtbot.waitUntil(lambda: not job.is_open)
    jobs_desk.window.resize(1024, 640)
    label = next(
        one
        for one in row(jobs_desk, job).findChildren(QLabel)
        if one.accessibleName() == f"Job: {title}"
    )
    assert label.text() == title
    assert row(jobs_desk, job).width() <= jobs_desk.window.jobs_panel.width()
