"""Starts and windows as a grid: which day, what is estimated, what runs say, what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from simulation.estimates.estimate import estimate
from simulation.results.run_result import RunResult
from simulation.scenario.file import ScenarioFile
from simulation.scenario.rates import DAY_S
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidate_result import candidate_result
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import answer_of
from studio.charts.timing import draw_timing, draw_traffic
from studio.views.theme import LIGHT
from studio.views.timing import (
    CellFigures,
    CellGrid,
    base_of,
    coarse_first,
    estimate_cell,
    frame_for,
    grid_of,
    sentence_of,
    simulate_cells,
    why_no_grid,
)
from studio.views.timing_shades import FIGURES, GLYPHS, mix, shades_of
from tests.helpers.command_line import SHOP

DAY = SHOP.replace("rate: 40/s", "rate: {steps: [[0h, 10/s], [8h, 190/s], [20h, 10/s]]}")
FROZEN = DAY.replace(
    "  window: 2 ", '  freeze: [["22:00", "02:00"], ["12:00", "13:00"]]\n  window: 2 '
)


def grid(text: str, *windows: int, path: Path | None = None) -> CellGrid:
    scenario = ScenarioFile.parse(text, path).scenario
    return grid_of(scenario, windows or (1, 2, 3))


def test_a_day_has_its_starts_and_windows() -> None:
    found = grid(DAY, 3, 1, 2)
    assert found.windows == (1, 2, 3)
    assert len(found.starts) == 48
    assert (found.begin_s, found.step_s, found.end_s) == (0.0, 1800.0, DAY_S)
    assert found.starts[:3] == ("00:00:00", "00:30:00", "01:00:00")
    assert [found.clock(found.begin_s + k * found.step_s) for k in (0, 7, 47)] == [
        "00:00",
        "03:30",
        "23:30",
    ]
    for column, row in ((0, 0), (7, 1), (47, 2)):
        one = found.cases[found.number(column, row)].candidate
        assert (one.start, one.window) == (found.starts[column], found.windows[row])
        assert found.place(found.number(column, row)) == (column, row)


def test_a_start_on_a_weekday_has_the_coming_week(tmp_path: Path) -> None:
    rows = "".join(
        f"2024-01-{1 + k // 24:02d}T{k % 24:02d}:00:00,{k // 24 % 7 + 1}\n" for k in range(24 * 14)
    )
    (tmp_path / "weeks.csv").write_text(f"time,rps\n{rows}")
    text = SHOP.replace("rate: 40/s", "rate: {trace: weeks.csv}")
    text = text.replace("replications: 4", "replications: 4\nclock: {start: tue 22:00}")
    found = grid(
        text.replace("window: 2 ", 'freeze: [["22:00", "02:00"]]\n  window: 2 '),
        1,
        2,
        path=tmp_path / "shop.yaml",
    )
    assert (found.begin_s, found.end_s, len(found.starts)) == (0.0, 7 * DAY_S, 42)
    assert found.starts[:2] == ("mon 00:00", "mon 04:00")
    assert found.own() == (11, 1)
    assert found.clock(found.begin_s + 11 * found.step_s) == "Tue 20:00"
    time_s, rates = found.traffic()
    assert rates.tolist() == [time // DAY_S + 1 for time in time_s]
    assert len(found.freezes()) == 8
    assert estimate_cell(found, found.number(0, 0)).answer == "out"


@pytest.mark.parametrize(
    ("start", "window", "own"),
    [("00:00", 2, (0, 1)), ("18:10", 1, (36, 0)), ("23:59", 3, (47, 2)), ("0s", 4, None)],
)
def test_the_scenario_is_in_one_of_the_cells(
    start: str, window: int, own: tuple[int, int] | None
) -> None:
    text = DAY.replace("traffic:", f'clock: {{start: "{start}"}}\ntraffic:', 1)
    assert grid(text.replace("window: 2", f"window: {window}")).own() == own


def test_a_trace_has_the_day_that_the_rollout_starts_in(tmp_path: Path) -> None:
    rows = [
        f"2024-03-0{1 + hour // 24}T{hour % 24:02d}:00:00Z,{36000 + 3600 * (hour % 24)}"
        for hour in range(6, 54)
    ]
    (tmp_path / "t.csv").write_text("time,requests\n" + "\n".join(rows) + "\n", encoding="utf-8")
    text = DAY.replace("{steps: [[0h, 10/s], [8h, 190/s], [20h, 10/s]]}", "{trace: t.csv}")
    for start, starts, first in (
        ("2024-03-01T09:00:00", 36, "06:00"),  # it begins at six
        ("2024-03-02T09:00:00", 48, "00:00"),
        ("2024-03-03T01:00:00", 36, "00:00"),  # it ends at six: finer steps are needed
    ):
        dated = text.replace("traffic:", f'clock: {{start: "{start}"}}\ntraffic:', 1)
        found = grid(dated, path=tmp_path / "shop.yaml")
        assert found.clock(found.begin_s) == first
        assert len(found.starts) == starts
        assert found.own() is not None
    frame = frame_for(found)
    late = estimate_cell(found, found.number(35, 0), frame)
    assert late.answer == "out"
    assert "the trace has a gap or its end" in late.why
    assert late.words().startswith("left out: ")
    assert estimate_cell(found, found.number(0, 0), frame).answer == "meets"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP, "Traffic is the same all day: 40 requests/s"),
        (DAY, None),
        (SHOP.replace("  window: 2 ", '  freeze: [["08:00", "09:00"]]\n  window: 2 '), None),
        (
            "clock: {horizon: 60s}\n" + SHOP[: SHOP.index("rollout:")],
            "Nothing is rolled out in this scenario",
        ),
        (SHOP.replace("40/s", "0/s"), "Traffic is the same all day: 0 requests/s"),
    ],
    ids=["constant", "day", "freeze", "no rollout", "nothing comes"],
)
def test_where_there_is_nothing_to_choose_it_is_said(text: str, said: str | None) -> None:
    found = why_no_grid(ScenarioFile.parse(text).scenario)
    assert found is None if said is None else str(found).startswith(said)


def test_freezes_are_cut_to_the_day_and_their_starts_left_out() -> None:
    found = grid(FROZEN)
    hour = 3600.0
    assert sorted(found.freezes()) == [
        (0.0, 2 * hour),
        (12 * hour, 13 * hour),
        (22 * hour, 24 * hour),
    ]
    frame = frame_for(found)
    for column, start in enumerate(found.starts):
        is_out = estimate_cell(found, found.number(column, 1), frame).answer == "out"
        assert is_out == any(a <= column * 1800.0 < b for a, b in found.freezes()), start


def test_an_estimate_is_that_of_the_cell() -> None:
    found = grid(DAY)
    frame = frame_for(found)
    for number in (found.number(0, 0), found.number(20, 2)):
        said = estimate_cell(found, number, frame)
        wanted = estimate(found.cases[number].scenario)
        assert wanted.rollout_duration_s is not None
        assert said.duration_s == wanted.rollout_duration_s.value
        assert said.is_estimate
    night, noon = (estimate_cell(found, found.number(column, 2), frame) for column in (2, 22))
    assert night.answer == "meets"
    assert "should meet every objective (estimate)" in night.words()
    # at noon the load is above capacity for a while, which only runs can answer
    assert noon.answer == ""
    assert noon.why.startswith("no estimate: the load reaches ")


def here(cells: Sequence[Cell], frame: SimulatedInterval) -> Iterable[tuple[Cell, RunResult]]:
    return run_cells(cells, frame, Execution(jobs=1))


def small(replications: int, asked: str = "in_runs: 40%") -> CellGrid:
    """Eight cells: four starts of a day in which the load jumps, two windows."""
    text = DAY.replace("replications: 4", f"replications: {replications}")
    scenario = ScenarioFile.parse(text.replace("in_runs: 40%", asked)).scenario
    whole = grid_of(scenario, (1, 3))
    columns = (2, 18, 22, 44)
    return replace(
        whole,
        starts=tuple(whole.starts[column] for column in columns),
        cases=tuple(whole.cases[2 * column + row] for column in columns for row in (0, 1)),
    )


def test_runs_say_what_a_comparison_of_the_cell_says() -> None:
    cells = small(3)
    frame = frame_for(cells)
    known = {number: estimate_cell(cells, number, frame) for number in range(8)}
    known[5] = CellFigures("out", "by hand")
    last: dict[int, CellFigures] = {}
    progress = []
    for number, found, step in simulate_cells(cells, known, frame, here):
        assert found.runs == last.get(number, CellFigures("")).runs + 1
        last[number] = found
        progress.append(step)
    assert set(last) == set(range(8)) - {5}
    assert progress == [(done, 21) for done in range(1, 22)]
    for number, found in last.items():
        one = cells.cases[number]
        runs = [run for _cell, run in here([Cell(one, k) for k in range(3)], frame)]
        wanted = candidate_result(one, tuple(runs))
        assert (found.answer, found.meeting, found.runs) == (
            wanted.verdict.answer,
            wanted.verdict.runs_meeting,
            3,
        )
        assert found.p99_s == pytest.approx(wanted.metrics["rollout_latency_p99_s"].mean)
        assert found.duration_s == pytest.approx(wanted.metrics["rollout_duration_s"].mean)
        assert f"in {found.meeting} of 3 runs" in found.words()


def test_no_cell_has_a_verdict_before_runs_have_confirmed_it() -> None:
    """At no moment on the way to the last run; what is marked once stays so."""
    cells = small(12, "in_runs: 80%\n  confidence: 90%")
    last: dict[int, CellFigures] = {}
    known = {number: CellFigures("") for number in range(8)}
    for number, found, _step in simulate_cells(cells, known, frame_for(cells), here):
        assert found.planned == 12
        if found.is_confirmed:
            rest = found.planned - found.runs
            for meeting in (found.meeting, found.meeting + rest):
                assert answer_of(meeting, 12, 0.8, 0.9) == found.answer
        if number in last and last[number].is_confirmed:
            assert found.answer == last[number].answer  # what is marked stays so
        last[number] = found
    for found in last.values():
        assert found.is_confirmed or found.runs == 12
        assert "so far" not in found.words()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (CellFigures("undecided", runs=3, meeting=3, planned=60),
         "so far: meets every objective in 3 of 3 runs, 60 decide"),
        (CellFigures("undecided", runs=60, meeting=57, planned=60),
         "undecided: meets every objective in 57 of 60 runs"),
        (CellFigures("meets", runs=60, meeting=60, planned=60),
         "meets: meets every objective in 60 of 60 runs"),
    ],
)  # fmt: skip
def test_a_cell_in_words(found: CellFigures, words: str) -> None:
    assert found.words() == words


def test_only_what_is_undecided_gets_more_than_the_first_runs() -> None:
    cells = small(12)
    frame = frame_for(cells)
    asked: list[int] = []

    def counted(
        wanted: Sequence[Cell], frame: SimulatedInterval
    ) -> Iterable[tuple[Cell, RunResult]]:
        asked.append(len(wanted))
        return here(wanted, frame)

    known = {number: CellFigures("") for number in range(8)}
    last = {number: found for number, found, _step in simulate_cells(cells, known, frame, counted)}
    assert asked[:3] == [8, 16, 56]  # one, then three, then ten runs each
    decided = [number for number, one in last.items() if one.runs == 10]
    assert all(last[number].answer != "undecided" for number in decided)
    assert asked[3] == 2 * (8 - len(decided))


@settings(deadline=None)  # a loaded machine takes its time
@given(st.integers(1, 60), st.integers(1, 6), st.randoms())
def test_the_whole_day_is_seen_soon(starts: int, windows: int, random: object) -> None:
    whole = small(1)
    wide = replace(
        whole,
        starts=tuple(str(k) for k in range(starts)),
        windows=tuple(range(1, windows + 1)),
    )
    order = coarse_first(wide, range(starts * windows))
    assert sorted(order) == list(range(starts * windows))
    first = [wide.place(number)[0] for number in order[: windows * -(-starts // 8)]]
    assert set(first) == set(range(0, starts, 8))


def test_a_base_knows_neither_start_nor_window_nor_name() -> None:
    one = ScenarioFile.parse(DAY)
    same = one.with_values({"clock.start": "03:00", "rollout.window": 3, "question": "Why?"})
    assert base_of(same.scenario) == base_of(one.scenario)
    more = one.with_values({"replications": 9})  # they decide the cells
    assert base_of(more.scenario) != base_of(one.scenario)
    other = one.with_values({"services.web.slots": 3})
    assert base_of(other.scenario) != base_of(one.scenario)


def test_a_window_over_the_day_in_a_sentence() -> None:
    cells = small(1)
    found = {
        cells.number(0, 1): CellFigures("meets", p99_s=0.2),
        cells.number(1, 1): CellFigures("fails", runs=60, meeting=9, planned=60, p99_s=2.4),
        cells.number(2, 1): CellFigures("undecided", runs=3, meeting=3, planned=60, p99_s=0.3),
        cells.number(3, 1): CellFigures("out", "starts in the freeze"),
    }
    assert sentence_of(cells, found, 1) == (
        "Window 3, of 4 starts: fails at 1, is not decided yet at 1, should meet at 1, is left out at 1. "
        "p99 is lowest at 00:00, 200 ms. Pale cells are estimates."
    )
    assert sentence_of(cells, {}, 1) == ""


@pytest.mark.parametrize("key", FIGURES)
def test_cells_have_their_colours_and_glyphs(key: str) -> None:
    cells = small(1)
    found = {
        0: CellFigures("meets", duration_s=10, p99_s=0.1),
        1: CellFigures("fails", duration_s=40, p99_s=4.0, runs=9, planned=60),
        2: CellFigures("undecided", duration_s=20, p99_s=0.2, runs=60, meeting=57, planned=60),
        3: CellFigures("undecided", duration_s=20, p99_s=0.2, runs=3, meeting=3, planned=60),
        6: CellFigures("meets", duration_s=20, p99_s=0.2, runs=60, meeting=60, planned=60),
        4: CellFigures("out", "a gap"),
        5: CellFigures(""),
    }
    shades = shades_of(cells, found, key, LIGHT)
    assert shades.index.shape == (2, 4)

    def colour(number: int) -> str:
        column, row = cells.place(number)
        name: str = shades.colours[shades.index[row, column]]
        return name

    def glyph(number: int) -> str:
        column, row = cells.place(number)
        return shades.glyphs[row][column]

    assert colour(7) == LIGHT.field  # nothing is known of it
    assert colour(4) == mix(LIGHT.out, LIGHT.card, 0.85)
    assert glyph(4) == GLYPHS["out"]
    if key == "verdict":
        # A mark only where runs have confirmed it: no estimate has one, nor three runs that all meet.
        assert [glyph(number) for number in (0, 1, 2, 3, 5, 6)] == ["", "✗", "?", "", "·", "✓"]
        assert colour(1) == mix(LIGHT.failed, LIGHT.card, 0.85)
        assert colour(6) == mix(LIGHT.new_version, LIGHT.card, 0.85)
        assert colour(0) == mix(LIGHT.new_version, LIGHT.card, 0.42)  # an estimate is pale
        assert colour(2) == colour(3) == LIGHT.field
        fills = [shades.fills[cells.place(number)[::-1]] for number in range(8)]
        filled = {number: fill for number, fill in enumerate(fills) if fill >= 0}
        assert filled == {2: 57 / 60, 3: 3 / 60}
        assert (shades.low, shades.high) == (None, None)
    else:
        assert {glyph(number) for number in (0, 1, 2, 3, 5, 6)} == {""}
        wanted = (0.1, 4.0) if key == "p99" else (10, 40)
        assert (shades.low, shades.high) == wanted
        assert colour(1) == "#fee838"  # the brightest of cividis
        assert colour(2) == colour(3)
        assert colour(5) == LIGHT.field


def test_the_picture_for_files_has_every_cell() -> None:
    cells = grid(FROZEN)
    frame = frame_for(cells)
    found = {number: estimate_cell(cells, number, frame) for number in range(len(cells.cases))}
    figure = Figure(figsize=(9, 5))
    FigureCanvasAgg(figure)
    above, beneath = figure.subplots(2, 1)
    draw_traffic(above, cells, LIGHT)
    draw_timing(beneath, cells, found, "verdict", LIGHT)
    (mesh,) = [one for one in beneath.collections if one.get_array() is not None]
    assert mesh.get_array().shape == (3, 48)
    assert [one.get_text() for one in beneath.get_yticklabels()] == ["1", "2", "3"]
    assert len(above.patches) == 3  # the freezes
    figure.canvas.draw()
