"""The page *Execute*: dry run, lab, inventory; halt, resume, rollouts left unfinished."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from executor.base.errors import BadInput
from executor.execute import Execute
from executor.plan.file import write_plan
from executor.progress import Event, EventKind
from executor.records.journal import Journal
from simulation.scenario.file import ScenarioFile
from studio.gui.background.rollout_job import RolloutJob
from studio.gui.document.commands import edit_values
from studio.gui.pages.execute import ExecutePage
from studio.lab import haproxy
from studio.lab.fleet import fleet
from studio.rollouts.kept_rollouts import folder_of
from studio.views.plan_text import steps_in_words
from studio.views.theme import DARK
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import Seat

LONG_MS = 60_000
SMALL = """\
rollcast: scenario/1
name: small
replications: 4
traffic: {rate: 30/s}
services:
  web:
    instances: 3
    slots: 4
    service_time: {mean: 40ms, cv: 0.4}
    balancer: {policy: least_connections, health_check: {interval: 100ms, timeout: 100ms}}
    steps: {deploy: 300ms, start: 300ms}
rollout: {window: 1, advance: batch, drain: {timeout: 3s}}
objectives: {in_runs: 40%, latency_p99: 3s}
"""
"""Three waves of one instance; the lab carries them out in a few seconds."""


@pytest.fixture
def seat(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seat[ExecutePage]:
    monkeypatch.setenv("ROLLCAST_STATE", str(tmp_path / "state"))
    return Seat(qtbot, ExecutePage, SMALL, windows=(1,))


@pytest.fixture
def lab_inventory() -> Iterator[Path]:
    """A running fleet without load, as if it were a real one."""
    with fleet(ScenarioFile.parse(SMALL).scenario) as up:
        yield up.inventory


def take(seat: Seat[ExecutePage], where: str) -> None:
    seat.click(seat.page.bar.where.button(where))


def rollout(seat: Seat[ExecutePage]) -> RolloutJob:
    assert seat.page.rollout is not None
    return seat.page.rollout


def children() -> set[int]:
    """Return the descendants of this process, without workers and trackers of other tests."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = " ".join(child.cmdline())
            if "executor" in words or "studio.lab" in words or "haproxy" in words:
                found.add(child.pid)
    return found


def confirm(seat: Seat[ExecutePage], words: str) -> QMessageBox:
    """Press a button of the open question."""
    (box,) = seat.page.findChildren(QMessageBox)
    (button,) = [one for one in box.buttons() if one.text().replace("&", "") == words]
    seat.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return box


# What can be started, and what cannot


def test_before_anything_is_simulated_nothing_can_be_started(seat: Seat[ExecutePage]) -> None:
    page = seat.page
    for where, shown in (("dry", False), ("lab", True), ("inventory", True)):
        take(seat, where)
        assert not page.bar.start_button.isEnabled()
        assert page.bar.state.text() == "✗ simulate it first (F5)"
        assert page.bar.asks.isVisible() is shown
        assert not page.bar.halt_button.isVisible()
    page.start()  # the shortcut is disabled like the button
    assert page.rollout is None
    assert page.closing_warning() is None


def test_a_dry_run_without_an_inventory_lists_the_steps_by_name(seat: Seat[ExecutePage]) -> None:
    seat.run()
    page = seat.page
    plan = page._drafts.current().plan
    assert plan is not None
    assert page.view.log.toPlainText().splitlines() == steps_in_words(plan)
    assert page.bar.state.text().startswith("Choose an inventory to see the exact commands")
    assert not page.bar.start_button.isEnabled()
    assert page.view.waterfall.rows.instances == ("web-01", "web-02", "web-03")
    assert page.view.waterfall.rows.now_s is None


def test_the_lab_names_the_missing_program(
    seat: Seat[ExecutePage], monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.run()
    take(seat, "lab")
    assert seat.page.bar.start_button.isEnabled()
    assert seat.page.bar.state.text() == "small: 3 instances, window 1"

    def missing() -> Path:
        raise BadInput("the lab needs HAProxy and there is none")

    monkeypatch.setattr(haproxy, "find_haproxy", missing)
    seat.page.show_document()
    assert not seat.page.bar.start_button.isEnabled()
    assert seat.page.bar.state.text() == "✗ the lab needs HAProxy and there is none"
    assert seat.page.bar.start_button.toolTip().startswith("Not yet: the lab needs HAProxy")


def test_the_lab_refuses_a_scenario_beyond_its_limits(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ExecutePage, SHOP.replace("rate: 40/s", "rate: 401/s"), windows=(2,))
    seat.run()
    if seat.page._drafts.current().refusal_text:  # the scenario may also fail its objectives
        assert seat.page.bar.state.text().startswith("✗")
    take(seat, "lab")
    assert not seat.page.bar.start_button.isEnabled()


def test_a_plan_for_another_tool_shows_only_that_and_the_way_to_its_export(qtbot: QtBot) -> None:
    text = SHOP.replace("  window: 2   # two at once", "  window: 2\n  replacement: beside")
    seat = Seat(qtbot, ExecutePage, text, windows=(2,))
    seat.run()
    page = seat.page
    assert page._start_refusal() is not None
    assert not page.bar.isVisible()
    assert not page.view.isVisible()
    assert page.other_tool.sentence.text().startswith("✗ Kubernetes carries this plan out")
    sentence = page.other_tool.sentence
    qtbot.waitUntil(lambda: sentence.height() >= sentence.heightForWidth(sentence.width()))
    page.start()  # the shortcut is disabled like the button
    assert page.rollout is None
    with qtbot.waitSignal(page.page_requested, check_params_cb=lambda key: key == "plan"):
        seat.click(page.other_tool.button)
    seat.document.open(ScenarioFile.parse(SMALL))  # Rollcast carries this plan out
    assert page.bar.isVisible()
    assert not page.other_tool.isVisible()


INVENTORY = """\
rollcast: inventory/1
service: {service}
versions: {{old: v1, new: v2}}
balancer: {{haproxy: {{socket: /nowhere/haproxy.sock, backend: web}}}}
defaults:
  stop: [stop, "{{instance}}"]
  deploy: [deploy, "{{version}}"]
  start: [start, "{{instance}}"]
  health: "http://127.0.0.1:9/healthz"
  version: "http://127.0.0.1:9/version"
instances: {{{instances}}}
"""


def inventory_file(
    folder: Path, service: str = "web", names: str = "web-01: {}, web-02: {}, web-03: {}"
) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(INVENTORY.format(service=service, instances=names), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"service": "shop"}, "✗ service (shop) must be the plan's (web)"),
        ({"names": "web-01: {}, web-02: {}"}, "✗ instances web-03 must be in the inventory"),
        ({}, "small: 3 instances, window 1"),
    ],
)
def test_an_inventory_is_held_against_the_plan(
    seat: Seat[ExecutePage], tmp_path: Path, said: dict[str, str], words: str
) -> None:
    seat.run()
    take(seat, "inventory")
    page = seat.page
    assert page.bar.state.text().startswith("Choose an inventory")
    seat.click(page.bar.choose)
    (dialog,) = page.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(inventory_file(tmp_path, **said)))
    dialog.close()
    assert page.bar.state.text() == words
    assert page.bar.start_button.isEnabled() is (not words.startswith("✗"))
    assert page.bar.file.text().startswith("fleet.yaml: ")


def test_an_invalid_inventory_is_reported(seat: Seat[ExecutePage], tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text("rollcast: inventory/1\n", encoding="utf-8")
    with seat.qtbot.waitSignal(
        seat.page.reported, check_params_cb=lambda said: "none.yaml" in said
    ):
        assert not seat.page.take_inventory(path)


def test_a_real_fleet_is_asked_about_before_it_is_touched(
    seat: Seat[ExecutePage], tmp_path: Path
) -> None:
    seat.run()
    take(seat, "inventory")
    page = seat.page
    assert page.take_inventory(inventory_file(tmp_path))
    seat.click(page.bar.start_button)
    (box,) = page.findChildren(QMessageBox)
    assert box.text() == "Carry small out on 3 instances of web on 1 host?"
    assert box.informativeText() == (
        "local, by fleet.yaml: from version v1 to v2, 1 at once. These machines are real."
    )
    assert isinstance(box.defaultButton(), QPushButton)
    assert box.defaultButton() is box.button(QMessageBox.StandardButton.Cancel)
    confirm(seat, "Cancel")
    assert page.rollout is None
    assert not (tmp_path / "state").exists()


def test_a_refusal_of_the_executor_is_shown(seat: Seat[ExecutePage], tmp_path: Path) -> None:
    """Nothing listens at this inventory's socket, so the executor refuses."""
    seat.run()
    take(seat, "inventory")
    page = seat.page
    assert page.take_inventory(inventory_file(tmp_path))
    seat.click(page.bar.start_button)
    confirm(seat, "Carry it out")
    assert page.closing_warning() is not None
    seat.qtbot.waitUntil(lambda: not rollout(seat).is_open, timeout=LONG_MS)
    assert rollout(seat).code == 3
    assert page.bar.state.text() == "✗ Refused, nothing was touched"
    assert "/nowhere/haproxy.sock" in page.view.log.toPlainText()
    assert page.closing_warning() is None
    assert not page.bar.report_button.isVisible()
    assert page.bar.start_button.isVisible()
    take(seat, "dry")
    assert page.rollout is None


def test_a_dry_run_lists_the_exact_commands(seat: Seat[ExecutePage], tmp_path: Path) -> None:
    seat.run()
    page = seat.page
    assert page.take_inventory(inventory_file(tmp_path))
    assert page.bar.start_button.text() == "List the actions"
    before_px = page.view.log.height()
    seat.click(page.bar.start_button)
    seat.qtbot.waitUntil(
        lambda: page.view.log.height() > 1.5 * before_px
    )  # the log of a dry run is shown higher
    assert page.view.log.width() > 0.9 * page.width()
    seat.qtbot.waitUntil(lambda: not rollout(seat).is_open, timeout=LONG_MS)
    lines = page.view.log.toPlainText()
    assert "web-02  stop      local: stop web-02" in lines
    assert "web-02  deploy    local: deploy v2" in lines
    assert "would be refused" in lines  # because there is no balancer
    assert page.bar.state.text() == "✗ Refused, nothing was touched"
    plan = rollout(seat).plan
    assert not Execute(plan=folder_of(plan) / "plan.json", inventory=Path()).journal_path.exists()


def test_an_edit_prevents_the_start_until_it_is_simulated(seat: Seat[ExecutePage]) -> None:
    seat.run()
    take(seat, "lab")
    assert edit_values(seat.document, "window", {"rollout.window": 2}, slides=True)
    assert seat.page.bar.state.text() == "✗ the change is not simulated yet"
    assert not seat.page.bar.start_button.isEnabled()
    seat.document.undo.undo()
    assert seat.page.bar.start_button.isEnabled()


# Whose rollout it is


def finished_dry_run(seat: Seat[ExecutePage], tmp_path: Path) -> RolloutJob:
    """Return an ended rollout of the scenario."""
    seat.run()
    assert seat.page.take_inventory(inventory_file(tmp_path))
    seat.click(seat.page.bar.start_button)
    going = rollout(seat)
    seat.qtbot.waitUntil(lambda: not going.is_open, timeout=LONG_MS)
    return going


@pytest.mark.parametrize(
    "other",
    [
        SMALL.replace("name: small", "name: other"),
        SMALL.replace("instances: 3", "instances: 4"),
        SMALL.replace("deploy: 300ms", "deploy: 900ms"),
    ],
    ids=["another name", "another fleet", "the same name and fleet"],
)
def test_an_ended_rollout_is_hidden_beside_another_scenario(
    seat: Seat[ExecutePage], tmp_path: Path, other: str
) -> None:
    done = finished_dry_run(seat, tmp_path)
    own = seat.document.state.file
    assert seat.page.view.log.toPlainText().splitlines()[0] == done.lines[0].line
    seat.document.open(ScenarioFile.parse(other))
    assert seat.page.rollout is None
    assert seat.page.bar.state.text() == "✗ simulate it first (F5)"
    assert done.lines[0].line not in seat.page.view.log.toPlainText()
    assert not seat.page.bar.report_button.isVisible()
    seat.document.open(own)  # the rollout belongs to this scenario, simulated or not
    assert seat.page.rollout is done


def test_an_ended_rollout_is_hidden_beside_another_window(
    seat: Seat[ExecutePage], tmp_path: Path
) -> None:
    done = finished_dry_run(seat, tmp_path)
    assert edit_values(seat.document, "window", {"rollout.window": 2})
    assert seat.page.rollout is None
    seat.document.undo.undo()
    assert seat.page.rollout is done
    assert edit_values(
        seat.document, "runs", {"replications": 5}
    )  # the number of runs does not change the plan
    assert seat.page.rollout is done


def left_on_a_fleet(seat: Seat[ExecutePage], tmp_path: Path) -> None:
    """Write the journal of an unfinished rollout of the selected run."""
    plan = seat.page._drafts.current().plan
    assert plan is not None
    path = folder_of(plan) / "plan.json"
    write_plan(path, plan)
    inventory = inventory_file(tmp_path)
    about = {"plan_digest": plan.digest, "inventory": str(inventory)}
    with closing(Journal.begin(path.with_suffix(".journal"), about)) as journal:
        journal.write(Event(0.0, EventKind.BEGUN), "2026-01-01T00:00:00+00:00")


def test_a_left_rollout_says_when_it_is_of_another_scenario_of_that_name(
    seat: Seat[ExecutePage], tmp_path: Path
) -> None:
    seat.run()
    left_on_a_fleet(seat, tmp_path)
    own = seat.document.state.file
    take(seat, "inventory")
    assert rollout(seat).is_left
    assert seat.page.bar.state.text().startswith("✗ Left unfinished")
    assert "not of the open scenario" not in seat.page.bar.state.text()
    seat.document.open(ScenarioFile.parse(SMALL.replace("name: small", "name: other")))
    assert seat.page.rollout is None
    assert not seat.page.bar.resume_button.isVisible()
    seat.page.resume()  # nor by the shortcut
    assert not seat.page.findChildren(QMessageBox)
    seat.document.open(ScenarioFile.parse(SMALL.replace("deploy: 300ms", "deploy: 900ms")))
    assert rollout(seat).is_left  # unfinished machines are always shown
    assert seat.page.bar.state.text().endswith(
        "a rollout of small, window 1, not of the open scenario"
    )
    seat.document.open(own)
    assert "not of the open scenario" not in seat.page.bar.state.text()


# The lab


@pytest.mark.slow
def test_in_the_lab_it_is_halted_resumed_and_reported(
    seat: Seat[ExecutePage], tmp_path: Path
) -> None:
    seat.run()
    take(seat, "lab")
    page, qtbot = seat.page, seat.qtbot
    before = children()
    seat.click(page.bar.start_button)
    assert page.bar.halt_button.isVisible()
    assert not page.bar.start_button.isVisible()
    assert not page.bar.where.isEnabled()
    assert "in the lab" in (page.closing_warning() or "")
    going = rollout(seat)
    qtbot.waitUntil(lambda: bool(going.timeline and going.timeline["steps"]), timeout=LONG_MS)
    seat.click(page.bar.halt_button)
    assert page.bar.state.text().startswith("Halting: the steps in hand are finished")
    assert not page.bar.halt_button.isEnabled()
    qtbot.waitUntil(lambda: going.is_halted, timeout=LONG_MS)
    page.show_document()
    assert page.bar.state.text().startswith("✗ Halted as you asked · ")
    assert page.bar.resume_button.isVisible()
    assert page.bar.end_button.isVisible()
    assert page.view.waterfall.rows.now_s is not None
    assert children() - before  # the fleet waits
    steps = len(going.timeline["steps"]) if going.timeline else 0
    seat.click(page.bar.resume_button)
    qtbot.waitUntil(lambda: going.is_settling, timeout=LONG_MS)
    page.show_document()
    assert page.bar.state.text() == "✓ Done: every instance has the new version; still measuring"
    qtbot.waitUntil(lambda: not going.is_open, timeout=LONG_MS)
    qtbot.waitUntil(lambda: page.bar.state.text() == "✓ Done: every instance has the new version")
    assert going.timeline is not None
    assert going.timeline["ended"] == "done"
    assert len(going.timeline["steps"]) == 18 > steps
    assert [one["outcome"] for one in going.timeline["steps"]] == ["done"] * 18
    (job,) = [one for one in seat.jobs.jobs if one.title == "Lab: small"]
    assert (job.done, job.total) == (18, 18)
    assert going.trial is not None
    told = [line for line in page.view.guards.texts() if line.startswith(("✓ p99", "✗ p99"))]
    assert len(told) == 1
    lines = page.view.log.toPlainText()
    assert "load runs" in lines
    assert "web-03  return  done" in lines
    report = tmp_path / "report.html"
    seat.click(page.bar.report_button)
    (dialog,) = page.findChildren(QFileDialog)
    with qtbot.waitSignal(page.reported, timeout=LONG_MS):
        dialog.fileSelected.emit(str(report))
    dialog.close()
    assert "small: done" in report.read_text("utf-8")
    assert children() <= before


@pytest.mark.slow
def test_leaving_in_the_middle_halts_it_and_leaves_nothing(seat: Seat[ExecutePage]) -> None:
    seat.run()
    take(seat, "lab")
    before = children()
    seat.click(seat.page.bar.start_button)
    going = rollout(seat)
    seat.qtbot.waitUntil(lambda: bool(going.timeline and going.timeline["steps"]), timeout=LONG_MS)
    assert children() - before
    seat.page.leave()
    seat.jobs.close()
    assert children() <= before
    assert not seat.jobs.threads()
    assert seat.page.closing_warning() is None


@pytest.mark.slow
def test_an_executor_that_is_killed_can_be_resumed(seat: Seat[ExecutePage]) -> None:
    seat.run()
    take(seat, "lab")
    page, qtbot = seat.page, seat.qtbot
    seat.click(page.bar.start_button)
    going = rollout(seat)
    qtbot.waitUntil(lambda: bool(going.timeline and going.timeline["steps"]), timeout=LONG_MS)
    (executor,) = [
        child for child in psutil.Process().children() if child.cmdline()[2:4] == ["-m", "executor"]
    ]
    executor.kill()
    qtbot.waitUntil(lambda: going.is_halted, timeout=LONG_MS)
    page.show_document()
    assert page.bar.state.text().startswith("✗ The executor broke off · ")
    seat.click(page.bar.resume_button)
    qtbot.waitUntil(lambda: going.is_settling, timeout=LONG_MS)
    assert going.code == 0
    assert going.timeline is not None
    outcomes = [one["outcome"] for one in going.timeline["steps"]]
    assert outcomes.count("done") >= 18
    assert outcomes.count("lost") <= 1


@pytest.mark.slow
def test_closing_can_wait_until_no_step_is_in_hand(seat: Seat[ExecutePage]) -> None:
    seat.run()
    take(seat, "lab")
    page, done = seat.page, list[str]()
    page.halt_then(lambda: done.append("at once"))
    assert done == ["at once"]
    before = children()
    seat.click(page.bar.start_button)
    going = rollout(seat)
    seat.qtbot.waitUntil(lambda: bool(going.timeline and going.timeline["steps"]), timeout=LONG_MS)
    page.halt_then(lambda: done.append("later"))
    assert done == ["at once"]
    seat.qtbot.waitUntil(lambda: len(done) == 2, timeout=LONG_MS)
    assert going.code == 130
    assert going.timeline is not None
    assert [one["outcome"] for one in going.timeline["steps"]] == ["done"] * len(
        going.timeline["steps"]
    )
    assert page.closing_warning() is None
    seat.jobs.close()
    assert children() <= before


@pytest.mark.slow
def test_a_halted_rollout_can_be_ended(seat: Seat[ExecutePage]) -> None:
    seat.run()
    take(seat, "lab")
    before = children()
    seat.click(seat.page.bar.start_button)
    going = rollout(seat)
    seat.page.halt()  # before the fleet is up, so that no step begins
    seat.qtbot.waitUntil(lambda: going.is_halted, timeout=LONG_MS)
    seat.page.show_document()
    seat.click(seat.page.bar.end_button)
    assert seat.page.bar.state.text() == "✗ Given up: its fleet has ended"
    assert seat.page.bar.start_button.isVisible()
    seat.qtbot.waitUntil(lambda: not seat.jobs.threads(), timeout=LONG_MS)
    assert children() <= before


# An inventory


@pytest.mark.slow
def test_on_an_inventory_waves_wait_until_they_are_approved(
    seat: Seat[ExecutePage], lab_inventory: Path
) -> None:
    seat.run()
    take(seat, "inventory")
    page, qtbot = seat.page, seat.qtbot
    assert page.take_inventory(lab_inventory)
    seat.click(page.bar.asks)
    seat.click(page.bar.start_button)
    confirm(seat, "Carry it out")
    going = rollout(seat)
    assert going.where == "inventory"

    def awaits(wave: int) -> bool:
        return going.awaited == wave

    for wave in (2, 3):
        qtbot.waitUntil(partial(awaits, wave), timeout=LONG_MS)
        page.show_document()
        assert page.bar.approve_button.text() == f"Approve wave {wave}"
        assert page.bar.state.text().startswith(f"Wave {wave} waits for your approval · ")
        seat.click(page.bar.approve_button)
        assert not page.bar.approve_button.isVisible()
    qtbot.waitUntil(lambda: not going.is_open, timeout=LONG_MS)
    assert going.code == 0
    assert going.timeline is not None
    gates = [one["said"] for one in going.timeline["events"] if one["kind"] == "gate_passed"]
    assert gates == ["wave 1", "wave 2", "wave 3"]
    # The kept files can be inspected and resumed from a terminal.
    folder = folder_of(going.plan)
    kept = {one.name for one in folder.iterdir()}
    assert {"plan.json", "plan.journal", "plan.timeline.json"} <= kept
    answer = subprocess.run(
        [sys.executable, "-m", "executor", "execute", str(folder / "plan.json"),
         "--inventory", str(lab_inventory), "--resume"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0


@pytest.mark.slow
def test_a_rollout_left_by_an_earlier_studio_is_found_and_resumed(
    seat: Seat[ExecutePage], qtbot: QtBot, lab_inventory: Path
) -> None:
    seat.run()
    take(seat, "inventory")
    assert seat.page.take_inventory(lab_inventory)
    seat.click(seat.page.bar.start_button)
    confirm(seat, "Carry it out")
    going = rollout(seat)
    qtbot.waitUntil(lambda: bool(going.timeline and going.timeline["steps"]), timeout=LONG_MS)
    seat.page.leave()  # as when the window closes
    seat.jobs.close()
    later = Seat(qtbot, ExecutePage, SMALL)  # no results in this window
    page, left = later.page, rollout(later)
    assert left.is_left
    assert page.bar.where.selected_key == "inventory"
    assert page.bar.file.text() == f"{lab_inventory.name}: 3 instances"
    assert page.bar.state.text().startswith("✗ Left unfinished")
    assert " of 3 done · " in page.bar.state.text()
    assert page.bar.resume_button.isVisible()
    assert page.bar.start_button.isVisible()
    assert not page.bar.start_button.isEnabled()  # nothing is simulated yet
    assert not page.bar.report_button.isVisible()
    assert page.closing_warning() is None
    assert page.view.waterfall.rows.instances == ("web-01", "web-02", "web-03")
    take(later, "dry")
    assert page.rollout is None
    take(later, "inventory")  # the rollout is found again
    later.click(page.bar.resume_button)
    box = confirm(later, "Cancel")
    assert box.text() == "Go on with small on 3 instances of web on 1 host?"
    assert rollout(later).is_left
    qtbot.waitUntil(lambda: not page.findChildren(QMessageBox))
    page.resume()  # like the shortcut
    confirm(later, "Carry it out")
    again = rollout(later)
    assert not again.is_left
    qtbot.waitUntil(lambda: not again.is_open, timeout=LONG_MS)
    assert again.code == 0
    assert again.plan == going.plan
    assert again.timeline is not None
    assert [one["outcome"] for one in again.timeline["steps"]].count("done") >= 18
    assert sum(one["kind"] == "resumed" for one in again.timeline["events"]) == 1
    take(later, "dry")
    take(later, "inventory")
    assert page.rollout is None  # the rollout has ended


def test_a_left_rollout_without_its_inventory_is_reported(
    seat: Seat[ExecutePage], tmp_path: Path
) -> None:
    seat.run()
    plan = seat.page._drafts.current().plan
    assert plan is not None
    path = folder_of(plan) / "plan.json"
    write_plan(path, plan)
    about = {"plan_digest": plan.digest, "inventory": str(tmp_path / "gone.yaml")}
    with closing(Journal.begin(path.with_suffix(".journal"), about)) as journal:
        journal.write(Event(0.0, EventKind.BEGUN), "2026-01-01T00:00:00+00:00")
    with seat.qtbot.waitSignal(
        seat.page.reported, check_params_cb=lambda said: "gone.yaml" in said
    ):
        take(seat, "inventory")
    assert seat.page.rollout is None
    assert not seat.page.bar.resume_button.isVisible()


# How it looks


def test_every_widget_has_a_name_and_keys_reach_it(seat: Seat[ExecutePage]) -> None:
    seat.run()
    page = seat.page
    for widget in (page.view.waterfall.rows, page.view.guards, page.view.log):
        assert widget.accessibleName()
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    keys = [keys for _, _, keys, _ in page.page_actions()]
    assert len(set(keys)) == len(keys)
    page.view.waterfall.rows.setFocus()
    seat.qtbot.keyClick(page.view.waterfall.rows, Qt.Key.Key_Down)
    words = page.view.waterfall.rows.accessibleDescription()
    assert words.startswith("web-02: forecast draining ")
    assert page.view.waterfall._about.text() == words


@pytest.mark.parametrize(
    "text",
    [
        f"name: {'N' * 80}\n" + SHOP.replace("  web:", f"  {'w' * 80}:"),
        SHOP.replace("timeout: 5s", "timeout: 0s, on_timeout: abort").replace(
            "service_time: {mean: 50ms, cv: 1}", "service_time: 30s"
        ),
        SHOP[: SHOP.index("rollout:")] + "clock: {horizon: 10s}\n",
    ],
    ids=["80 characters", "failed", "nothing to roll"],
)
def test_the_page_shows_unusual_scenarios(qtbot: QtBot, text: str) -> None:
    seat = Seat(qtbot, ExecutePage, text, size=(660, 480))
    seat.page.set_theme(DARK)
    assert not seat.page.grab().isNull()
    if "rollout:" in text:
        seat.run(windows=(2,))
        assert len(seat.page.view.waterfall.rows.instances) == 6
    assert seat.page.width() <= 660


@pytest.mark.slow
def test_a_thousand_instances_have_their_rows(qtbot: QtBot) -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 100")
    seat = Seat(qtbot, ExecutePage, text.replace("replications: 4", "replications: 1"))
    seat.run(windows=(100,))
    rows = seat.page.view.waterfall.rows
    assert len(rows.instances) == 1000
    assert rows.height() >= 13_000
    rows.setFocus()
    for _ in range(30):
        qtbot.keyClick(rows, Qt.Key.Key_Down)
    assert seat.page.view.waterfall._scroll.verticalScrollBar().value() > 0
