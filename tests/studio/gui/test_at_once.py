"""A moved slider is answered by its first runs at once, and by simulated results soon after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSlider

from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.study import quick_answer
from simulation.study.running import places
from simulation.study.running.workers import stop_workers
from studio.gui.background import jobs
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import RUN_MS, Desk
from tests.studio.gui.test_fields import drag

pytestmark = pytest.mark.slow

MANY = SHOP.replace("replications: 4", "replications: 400")


@pytest.fixture
def eager(desk: Desk) -> Iterator[Desk]:
    """A window with the default settings, which simulates after an edit, and with results of the saved file."""
    stop_workers()
    desk.settings.set_value("simulate_at_once", True)
    desk.run()
    yield desk


def pids() -> set[int]:
    """Return the worker processes of studies."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # the process has just ended
            if "LokyProcess" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def until_simulated(desk: Desk) -> None:
    """Wait for results of the scenario as it is; without any results none are out of date."""
    desk.qtbot.waitUntil(
        lambda: desk.document.current_run is not None and not desk.document.is_stale, timeout=RUN_MS
    )


def test_a_moved_slider_is_answered_by_its_first_runs(
    eager: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        jobs, "ANSWER_BUDGET_S", 5.0
    )  # a busy machine, and code that is loaded first
    eager.window.jobs._patience.setInterval(RUN_MS)
    banner, takes = eager.window.headline.banner, eager.window.headline.cards["duration"]
    simulated, verdict = takes.figure, banner.sentence
    with eager.qtbot.waitSignal(eager.document.answered, timeout=RUN_MS):
        eager.slide("Window size", Qt.Key.Key_Right)
        assert eager.document.awaits_answer
        assert (takes.figure, banner.sentence) == (simulated, verdict)  # not yet another number
    answer = eager.document.estimate
    assert answer is not None
    assert answer.runs == 4  # all that the scenario asks for
    assert banner.sentence == "≈  Window 3 should meet every objective"
    assert banner.note.startswith("by 4 runs · ")
    assert takes.figure.startswith("≈ ")
    with eager.qtbot.waitSignal(eager.document.compared, timeout=RUN_MS):
        pass
    until_simulated(eager)
    assert banner.sentence.startswith(("✓  Window 3", "?  Window 3"))
    assert not takes.figure.startswith("≈")
    assert takes.figure != simulated


def test_closed_forms_answer_when_no_run_has_ended_in_time(
    eager: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def wait_for_test(scenario: Scenario, *_: object) -> None:
        go_on.wait(RUN_MS / 1000)

    monkeypatch.setattr(quick_answer, "answer_by_runs", wait_for_test)
    headline = eager.window.headline
    try:
        with eager.qtbot.waitSignal(eager.document.answered, timeout=RUN_MS):
            eager.slide("Window size", Qt.Key.Key_Right)
        assert headline.banner.note.startswith("by closed forms · ")
        assert headline.cards["duration"].figure.startswith("≈ ")
        assert len([t for t in eager.window.jobs.threads() if t.isRunning()]) >= 1
    finally:
        go_on.set()
    until_simulated(eager)


def test_a_drag_is_answered_one_thread_at_a_time_and_last_for_its_end(
    eager: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[int] = []
    at_once: list[int] = []
    running = [0]

    def answer(scenario: Scenario, *_: object) -> None:
        running[0] += 1
        at_once.append(running[0])
        answered.append(scenario.window_count())
        running[0] -= 1

    monkeypatch.setattr(quick_answer, "answer_by_runs", answer)
    drag(eager.find(QSlider, "Window size, slider"), 1.0, 0.4)
    eager.qtbot.waitUntil(lambda: not eager.document.awaits_answer, timeout=RUN_MS)
    eager.qtbot.waitUntil(lambda: eager.window.jobs._answering is None, timeout=RUN_MS)
    assert answered[-1] == eager.document.scenario.window_count()
    assert set(at_once) == {1}
    until_simulated(eager)


def test_a_drag_of_many_steps_is_one_study_at_its_end(eager: Desk) -> None:
    begun: list[int] = []
    work = eager.window.jobs
    work.started.connect(lambda: begun.append(eager.document.scenario.window_count()))
    drag(eager.find(QSlider, "Window size, slider"), 1.0, 0.4)  # 40 moves of the mouse
    assert begun == []
    final = eager.document.scenario.window_count()
    until_simulated(eager)
    eager.qtbot.waitUntil(lambda: not work.is_running, timeout=RUN_MS)
    assert begun == [final]
    assert eager.document.undo.count() == 1


def test_an_edit_in_the_middle_of_a_study_takes_its_place(eager: Desk) -> None:
    eager.document.open(ScenarioFile.parse(MANY, eager.path))
    eager.qtbot.waitUntil(lambda: eager.window.jobs.is_running, timeout=RUN_MS)
    first = eager.window.jobs.study
    assert first is not None
    eager.type_number("Drain timeout", "8")
    eager.qtbot.waitUntil(
        lambda: eager.window.jobs.study is not None and eager.window.jobs.study is not first,
        timeout=RUN_MS,
    )
    assert not first.is_open
    until_simulated(eager)
    run = eager.document.current_run
    assert run is not None
    assert run.result.candidate.drain_timeout_s == 8.0


def test_undo_shows_the_earlier_results_without_a_simulation(eager: Desk) -> None:
    eager.slide("Window size", Qt.Key.Key_Right)
    assert eager.document.is_stale
    eager.keys(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not eager.document.is_stale
    assert eager.window.headline.banner.sentence.startswith("✓  Window 2 meets")


def test_without_the_setting_only_a_key_simulates(eager: Desk) -> None:
    eager.settings.set_value("simulate_at_once", False)
    begun: list[None] = []
    eager.window.jobs.started.connect(lambda: begun.append(None))
    eager.slide("Window size", Qt.Key.Key_Right)
    assert not eager.window.jobs._soon.isActive()
    assert eager.window.headline.banner.note == "by closed forms · F5 simulates"
    eager.run()
    assert len(begun) == 1
    assert not eager.document.is_stale


def test_processes_serve_the_next_study_when_one_is_cancelled(
    eager: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 30.0)  # a short run takes long on a busy machine
    eager.document.open(ScenarioFile.parse(SHOP.replace("replications: 4", "replications: 100000")))
    eager.settings.set_value("simulate_at_once", False)
    eager.keys(Qt.Key.Key_F5)
    study = eager.window.jobs.study
    assert study is not None
    eager.qtbot.waitUntil(lambda: study.done > 0, timeout=RUN_MS)
    before = pids()
    assert before
    eager.keys(Qt.Key.Key_Escape)
    assert not eager.window.jobs.is_running
    eager.qtbot.waitUntil(lambda: not eager.window.jobs.threads(), timeout=RUN_MS)
    assert pids() == before  # each run was short, so no worker was ended
    eager.document.open(ScenarioFile.parse(SHOP))
    eager.run()
    assert pids() == before
    eager.window.setProperty("leaving", True)
    eager.window.close()
    assert pids() == set()
    assert eager.window.jobs.threads() == ()
