"""The page *Plan*: checks, graph, targets, command line, export."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from executor.exports.base import ExportTarget
from executor.exports.targets import TARGETS
from executor.plan.file import read_plan
from studio.gui.document.commands import edit_values
from studio.gui.pages.plan import PlanPage
from studio.views.figures_text import duration_text
from studio.views.theme import DARK
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import Seat

STRICT = SHOP.replace("in_runs: 40%", "in_runs: 90%")
SEVERAL = """\
rollcast: scenario/1
name: shop
replications: 2
traffic: {rate: 10/s, classes: {all: {route: [web, store]}}}
services:
  web: {instances: 2, service_time: 10ms, slots: 4, steps: {start: 1s}}
  store: {instances: 2, service_time: 10ms, slots: 4, steps: {start: 2s}}
rollout: {window: 1, order: {store: [], web: [store]}}
objectives: {in_runs: 10%}
"""


BESIDE = SHOP.replace("  window: 2   # two at once", "  window: 2\n  replacement: beside")


@pytest.fixture
def seat(qtbot: QtBot) -> Seat[PlanPage]:
    return Seat(qtbot, PlanPage, SHOP, windows=(1, 2, 3))


def broken(page: PlanPage) -> list[str]:
    return [line for line in page.text_list.texts() if line.startswith(("✗", "     "))]


def choose(seat: Seat[PlanPage], name: str) -> None:
    """Select a target by keys."""
    box = seat.page.export.target
    box.setFocus()
    seat.qtbot.keyClick(box, Qt.Key.Key_Home)
    for _ in range([target.name for target in TARGETS].index(name)):
        seat.qtbot.keyClick(box, Qt.Key.Key_Down)
    assert seat.page.export.selected_target.name == name


def test_before_anything_is_simulated_the_waves_are_there_and_nothing_is_exported(
    seat: Seat[PlanPage],
) -> None:
    page = seat.page
    assert page.graph.drawing is not None
    assert [node.title for node in page.graph.drawing.nodes] == ["01", "02", "03", "04", "05", "06"]
    assert broken(page) == [
        "✗ the edited scenario is simulated",
        "     simulate it first (F5)",
    ]
    assert not page.export.write.isEnabled()
    assert page.export.reason.text() == "✗ simulate it first (F5)"
    assert page.export.write.toolTip() == "Not yet: simulate it first (F5)"
    estimate = seat.document.estimate
    assert estimate is not None
    assert estimate.rollout_duration_s is not None
    assert page._critical.text() == (
        f"≈ {duration_text(estimate.rollout_duration_s.value)} by closed forms"
    )


def test_a_plan_that_meets_the_objectives_shows_every_check(
    seat: Seat[PlanPage], tmp_path: Path
) -> None:
    seat.run()
    page = seat.page
    run = seat.document.current_run
    assert run is not None
    draft = page.draft
    assert draft.plan is not None
    assert [promise for promise, _ in draft.checks] == [
        line[2:] for line in page.text_list.texts() if line.startswith("✓")
    ]
    assert broken(page) == []
    assert page._critical.text().startswith("━ critical path: web-0")
    assert page.export.reason.text() == "✓ every check holds"
    path = tmp_path / "shop.plan.json"
    assert page.write(path)
    assert read_plan(path) == draft.plan
    assert path.stat().st_mode & 0o777 == 0o600
    assert draft.plan.window == run.result.candidate.window == 3


def test_a_plan_that_fails_shows_the_reason_in_the_list_and_on_the_button(qtbot: QtBot) -> None:
    seat = Seat(qtbot, PlanPage, STRICT, windows=(2,))
    seat.run()
    page = seat.page
    lines = broken(page)
    assert lines[0] == "✗ the objectives hold with the stated confidence"
    assert lines[1] == "     verdict (undecided) must be meets"
    assert any("neither shows nor refutes 90 %" in line for line in lines)
    assert page.text_list.texts()[1] == lines[0]  # failed checks stand on top
    assert not page.export.write.isEnabled()
    assert page.export.reason.text() == "✗ verdict (undecided) must be meets"
    assert page.export.write.accessibleDescription() == "verdict (undecided) must be meets"
    assert not page.write(Path("never"))
    page.ask_export()
    assert page.findChild(QFileDialog) is None


def test_runs_that_are_still_missing_are_counted(seat: Seat[PlanPage]) -> None:
    seat.run(rows=3)
    assert broken(seat.page)[-2:] == [
        "✗ all replications are simulated",
        "     runs (3) must be all 4 replications",
    ]
    seat.run()
    assert broken(seat.page) == []


def test_a_moved_slider_is_answered_at_once_and_back_again(seat: Seat[PlanPage]) -> None:
    seat.run()
    page = seat.page
    made = page.draft.plan
    assert edit_values(seat.document, "window", {"rollout.window": 1}, slides=True)
    assert page.draft.plan is not None
    assert page.draft.plan.window == 1
    assert page.graph.drawing is not None
    assert {node.row for node in page.graph.drawing.nodes} == {0.0}
    assert page._critical.text().endswith("by closed forms")
    assert "     the change is not simulated yet" in broken(page)
    assert not page.export.write.isEnabled()
    seat.document.undo.undo()
    assert page.draft.plan is not None
    assert made is not None
    assert page.draft.plan.window == made.window
    assert page.export.write.isEnabled()


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_each_target_shows_its_file_and_what_it_cannot_express(
    qtbot: QtBot, target: ExportTarget
) -> None:
    text = BESIDE if target.name in ("kubernetes", "argo-rollouts") else SHOP
    seat = Seat(qtbot, PlanPage, text, windows=(1, 2, 3))
    seat.run()
    page = seat.page
    choose(seat, target.name)
    plan = page.draft.plan
    assert plan is not None
    wanted = target.render(plan)
    assert page.export.preview.toPlainText() == wanted.text
    assert page.export.preview.isReadOnly()
    seat.click(page.export.view_switch.button("lost"))
    assert page.export.lost.isVisible()
    assert page.export.lost.texts() == [f"– {one}" for one in wanted.lost] or ["✓ nothing is lost"]
    words = f"Lost ({len(wanted.lost)})" if wanted.lost else "Lost"
    assert page.export.view_switch.button("lost").text() == words


def test_a_target_that_has_no_words_for_it_disables_the_button(qtbot: QtBot) -> None:
    text = SHOP.replace("  window: 2   # two at once", "  window: 2\n  strategy: canary\n"
                        "  canary: [{share: 20%, bake: 2s}]")  # fmt: skip
    seat = Seat(qtbot, PlanPage, text, windows=(2,))
    seat.run()
    page = seat.page
    assert page.export.write.isEnabled()
    choose(seat, "kubernetes")
    assert not page.export.write.isEnabled()
    assert page.export.reason.text().startswith("✗ kubernetes: strategy (canary) must be rolling")
    assert page.export.preview.toPlainText() == page.export.reason.text()
    choose(seat, "ansible")
    assert page.export.write.isEnabled()
    assert page.graph.drawing is not None
    assert [n.title for n in page.graph.drawing.nodes if n.kind == "gate"] == ["bake 2 s"]


def test_the_tool_that_carries_the_plan_out_is_named_once(qtbot: QtBot) -> None:
    seat = Seat(qtbot, PlanPage, BESIDE, windows=(2,))
    seat.run()
    told = [line for line in seat.page.text_list.texts() if "carries it out:" in line]
    assert len(told) == 1
    assert told[0].strip() == (
        "Kubernetes carries it out: new ones start beside the old ones, none more than the fleet "
        "not counting those that end"
    )
    choose(seat, "kubernetes")
    assert seat.page.export.write.isEnabled()


def test_the_command_line_is_shown_and_copied(seat: Seat[PlanPage]) -> None:
    seat.run()
    page = seat.page
    words = page.export.command.text()
    name = seat.document.scenario.name
    assert words == f"rollcast plan {name}.yaml --window 3 -o {name}.plan.json"
    with seat.qtbot.waitSignal(page.reported):
        seat.click(page.export.copy)
    assert QGuiApplication.clipboard().text() == words
    choose(seat, "ansible")
    assert page.export.command.text().endswith("--to ansible")


def test_export_asks_for_a_file_and_says_where_it_is(seat: Seat[PlanPage], tmp_path: Path) -> None:
    seat.run()
    page = seat.page
    choose(seat, "ansible")
    seat.click(page.export.write)
    dialog = page.findChild(QFileDialog)
    assert dialog is not None
    assert dialog.selectedFiles()[0].endswith(".playbook.yaml")
    path = tmp_path / "roll.yaml"
    with seat.qtbot.waitSignal(page.reported, check_params_cb=lambda said: said.startswith("✓")):
        dialog.fileSelected.emit(str(path))
    dialog.close()
    assert path.read_text("utf-8").startswith("# ")
    with seat.qtbot.waitSignal(page.reported, check_params_cb=lambda said: said.startswith("✗")):
        assert not page.write(tmp_path / "no" / "folder.yaml")


def test_a_release_of_several_services_is_a_graph_and_no_plan(qtbot: QtBot) -> None:
    seat = Seat(qtbot, PlanPage, SEVERAL)
    page = seat.page
    assert page.graph.drawing is not None
    assert [node.key for node in page.graph.drawing.nodes] == ["store", "web"]
    seat.run(windows=(1,))
    assert page._critical.text().startswith("━ critical path: store → web, ")
    lines = page.text_list.texts()
    assert lines[0] == "No plan"
    assert "it releases 2 services (store, web) and a plan is for one" in lines[1]
    assert lines[2:] == ["Release", "store at once", "web after store"]
    assert not page.export.write.isEnabled()
    page.graph.setFocus()
    qtbot.keyClick(page.graph, Qt.Key.Key_Right)
    assert page._about.text().startswith("web: 2 instances, 1 at once; begins after store; takes")


def test_a_scenario_without_a_rollout_says_so(qtbot: QtBot) -> None:
    text = SHOP[: SHOP.index("rollout:")] + "clock: {horizon: 10s}\n"
    seat = Seat(qtbot, PlanPage, text)
    assert seat.page.graph.drawing is None
    assert "rollout: is missing" in seat.page.text_list.texts()[1]
    assert not seat.page.export.write.isEnabled()


def test_a_failed_rollout_is_drawn_up_to_its_failure(qtbot: QtBot) -> None:
    text = SHOP.replace("timeout: 5s", "timeout: 0s, on_timeout: abort").replace(
        "service_time: {mean: 50ms, cv: 1}", "service_time: 30s"
    )
    text = text.replace("rate: 40/s", "rate: 0.2/s")  # six requests in flight: each drain has some
    seat = Seat(qtbot, PlanPage, text, windows=(1,))
    seat.run()
    assert seat.page.graph.drawing is not None
    under = [node.under for node in seat.page.graph.drawing.nodes]
    assert under[0] == "✗ failed"
    assert set(under[1:]) == {"not begun"}
    assert seat.page._critical.text() == "the rollout ended in no run"


def test_eighty_characters_fit(qtbot: QtBot) -> None:
    text = f"name: {'N' * 80}\n" + SHOP.replace("  web:", f"  {'w' * 80}:")
    seat = Seat(qtbot, PlanPage, text, windows=(2,), size=(660, 480))
    seat.run()
    page = seat.page
    assert page.export.command.toolTip().startswith(page.export.command.text())
    assert page.width() <= 660
    page.set_theme(DARK)
    assert not page.grab().isNull()


@pytest.mark.slow
def test_a_thousand_instances_are_one_graph(qtbot: QtBot) -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 100")
    seat = Seat(qtbot, PlanPage, text.replace("replications: 4", "replications: 1"))
    seat.run(windows=(100,))
    assert seat.page.graph.drawing is not None
    assert len(seat.page.graph.drawing.nodes) == 1000
    assert " more … → 0" in seat.page.graph.drawing.critical


def test_every_widget_has_a_name_and_keys_reach_it(seat: Seat[PlanPage]) -> None:
    seat.run()
    page = seat.page
    wanted: list[QWidget] = [
        page.graph,
        page.text_list,
        page.export.target,
        page.export.preview,
        page.export.command,
        page.export.copy,
        page.export.write,
    ]
    for widget in wanted:
        shown = widget.text() if isinstance(widget, QAbstractButton) else ""
        assert widget.accessibleName() or shown  # a button's text is its name
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    keys = [keys for _, _, keys, _ in page.page_actions()]
    assert len(set(keys)) == len(keys)
