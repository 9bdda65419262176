"""Late or repeated results keep the user's selection, and belong to the edited scenario."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.gui.background import comparison_job as study_work
from studio.gui.background import jobs as tasks
from studio.gui.document.commands import compare_run, edit_values, remove_run
from studio.gui.pages.timing import TimingPage
from tests.studio.gui.conftest import RUN_MS, Desk
from tests.studio.gui.pages import Seat
from tests.studio.gui.test_timing import DAY


def _has_every_run(desk: Desk) -> bool:
    comparison, scenario = desk.document.comparison, desk.document.scenario
    return (
        comparison is not None
        and comparison.scenario == scenario
        and all(len(candidate.runs) == scenario.replications for candidate in comparison.candidates)
    )


def test_an_edit_undone_during_its_simulation_keeps_the_earlier_results(
    desk: Desk,
) -> None:
    desk.run()
    before = desk.document.comparison
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.window.jobs.start()
    assert desk.window.jobs.is_running
    with desk.qtbot.waitSignal(desk.window.jobs.ended, timeout=RUN_MS):
        desk.document.undo.undo()
    desk.qtbot.waitUntil(lambda: not desk.window.jobs.threads(), timeout=RUN_MS)
    assert not desk.document.is_stale
    assert desk.document.comparison is before


def test_an_edit_undone_before_all_runs_simulates_the_missing_ones(desk: Desk) -> None:
    desk.settings.set_value("simulate_at_once", True)
    desk.run()
    assert desk.document.comparison is not None
    some = [
        replace(candidate, runs=candidate.runs[:1])
        for candidate in desk.document.comparison.candidates
    ]
    desk.document.add_results(
        replace(desk.document.comparison, candidates=tuple(some)), desk.document.state
    )
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.window.jobs.start()
    desk.document.undo.undo()
    desk.qtbot.waitUntil(
        lambda: not desk.window.jobs.is_running and _has_every_run(desk), timeout=RUN_MS
    )
    assert not desk.document.is_stale


def test_saving_does_not_begin_a_comparison_that_a_person_has_cancelled(desk: Desk) -> None:
    desk.settings.set_value("simulate_at_once", True)
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.window.jobs.cancel()
    begun: list[None] = []
    desk.window.jobs.started.connect(lambda: begun.append(None))
    assert desk.window.filing.save()
    assert not desk.window.jobs._soon.isActive()
    assert not begun


def test_repeating_the_comparison_keeps_the_selected_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_work, "is_ready", lambda: True)  # so that there is a first look
    monkeypatch.setattr(tasks, "LOOK_AFTER_MS", 0)
    desk.run()
    other = next(run for run in desk.document.runs if run != desk.document.current_run)
    desk.document.look_at(other.key)
    seen: set[str] = set()
    counts: set[int] = set()

    def look() -> None:
        run = desk.document.current_run
        seen.add("" if run is None else run.key)
        counts.add(len(desk.document.runs))

    desk.document.compared.connect(look)
    desk.run()
    assert seen == {other.key}
    assert counts == {len(desk.document.runs)}


def test_an_older_run_is_judged_by_its_own_fleet(desk: Desk) -> None:
    desk.run()
    older = desk.document.runs[0]
    compare_run(desk.document, older, True)
    count = older.scenario.service.instance_count
    edit_values(desk.document, "instances", {"services.web.instances": count + 2})
    desk.run()
    desk.document.look_at(older.key)
    assert not desk.document.is_stale
    assert desk.window.headline.cards["pool"].figure.endswith(f"of {count}")


def test_a_run_that_is_put_back_has_all_its_runs(desk: Desk) -> None:
    desk.run()
    comparison = desk.document.comparison
    assert comparison is not None
    some = [replace(candidate, runs=candidate.runs[:1]) for candidate in comparison.candidates]
    desk.document.add_results(replace(comparison, candidates=tuple(some)), desk.document.state)
    key = desk.document.runs[0].key
    remove_run(desk.document, desk.document.runs[0])
    desk.document.add_results(comparison, desk.document.state)
    desk.document.undo.undo()
    back = next(run for run in desk.document.runs if run.key == key)
    assert len(back.result.runs) == comparison.scenario.replications


def test_a_fifth_run_in_compare_is_refused_in_words(desk: Desk) -> None:
    edit_values(desk.document, "instances", {"services.web.instances": 12})
    desk.document.restore(replace(desk.document.state, windows=(1, 2, 3, 4, 5, 6)))
    desk.run()
    four = desk.document.side_by_side
    assert len(four) == 4
    fifth = next(run for run in desk.document.runs if run not in four)
    for run in four:
        compare_run(desk.document, run, True)
    desk.document.look_at(fifth.key)
    count = desk.document.undo.count()
    table = desk.window.runs.table
    table.setFocus()
    current = table.current()
    assert current is not None
    assert current.key == fifth.key
    desk.qtbot.keyClick(table, Qt.Key.Key_Space)
    assert "four runs" in desk.window.status_text
    assert desk.document.undo.count() == count
    assert [run.key for run in desk.document.side_by_side] == [run.key for run in four]


def test_cells_that_were_cancelled_in_the_list_of_jobs_can_be_worked_out_all_the_same(
    qtbot: QtBot,
) -> None:
    seat = Seat(qtbot, TimingPage, DAY, windows=(1, 2, 3))
    page = seat.page
    page.simulates = False
    qtbot.waitUntil(lambda: page.job is not None, timeout=RUN_MS)
    assert page.job is not None
    page.job.cancel()
    assert page.grid is not None
    assert len(page.figures_by_cell) < len(page.grid.cases)
    assert page.pause_button.isVisible()
    assert page.pause_button.text() == "Compute the rest"
    qtbot.mouseClick(page.pause_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.job is not None and not page.job.is_open, timeout=RUN_MS)
    assert len(page.figures_by_cell) == len(page.grid.cases)
    assert not page.pause_button.isVisible()
