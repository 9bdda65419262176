"""When to roll and how wide, as data: a grid of starts and windows, and what is known of each cell.

Enters: a scenario. Leaves: the grid over a day of its traffic; for each cell first what closed forms
expect, then what simulated runs say. Nothing here knows Qt.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from executor.base.errors import BadInput
from simulation.estimates.estimate import estimate
from simulation.results.run_result import RunResult
from simulation.run import traffic_around
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, RateTable, clock_label, clock_time_s, start_second
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.scenario.units import Floats
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.statistics import FIRST_LOOK, answer_so_far
from simulation.study.verdict import Breach, breach_text, broken_objectives
from studio.views.figures_text import count_text, duration_text, latency_text
from studio.views.sentences import estimate_answer

_STEPS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
_MOST_STARTS = 48
_ROUNDS = (1, 3, FIRST_LOOK)
"""Every cell gets so many runs, one round after the other, before any gets more."""

ANSWERS = ("meets", "fails", "undecided", "", "out")
"""What may be said of a cell; empty where nothing is known, ``out`` where nothing can be simulated."""


@dataclass(frozen=True)
class CellFigures:
    """What is known of a cell.

    Attributes:
        answer: One of `ANSWERS`.
        why: The first reason, in words.
        duration_s: The mean duration of the rollout.
        p99_s: The mean p99 of the latency during it.
        runs: How many were simulated; 0 for an estimate.
        meeting: How many of them meet every objective.
        planned: How many are simulated before the cell is decided, see `answer_so_far`.
    """

    answer: str
    why: str = ""
    duration_s: float | None = None
    p99_s: float | None = None
    runs: int = 0
    meeting: int = 0
    planned: int = 0

    @property
    def is_estimate(self) -> bool:
        """Whether closed forms say it."""
        return self.runs == 0 and self.answer != "out"

    @property
    def is_confirmed(self) -> bool:
        """Whether runs have shown that it meets or fails; only then it has a verdict's mark."""
        return self.runs > 0 and self.answer in ("meets", "fails")

    @property
    def is_open(self) -> bool:
        """Whether runs that may decide it are still missing."""
        return 0 < self.runs < self.planned and self.answer == "undecided"

    @property
    def fill_fraction(self) -> float | None:
        """Which share of all runs is there and meets; None for estimates and where it is confirmed."""
        if self.runs == 0 or self.is_confirmed:
            return None
        return self.meeting / max(self.planned, self.runs)

    def words(self) -> str:
        """As a sentence without its subject."""
        if self.answer == "out":
            return f"left out: {self.why}"
        if self.runs:
            answer = "so far" if self.is_open else self.answer
            said = f"{answer}: meets every objective in {self.meeting} of {self.runs} runs"
            if self.is_open:
                said += f", {self.planned} decide"
        else:
            said = f"{self.why} (estimate)" if self.answer else self.why
        if self.duration_s is not None:
            said += f" · takes {duration_text(self.duration_s)}"
        if self.p99_s is not None:
            said += f" · p99 {latency_text(self.p99_s)}"
        if self.runs and self.why:
            said += f" · {self.why}"
        return said


@dataclass(frozen=True)
class CellGrid:
    """Starts over a day, and windows.

    Attributes:
        scenario: What is rolled.
        begin_s: Where the day begins, on the traffic's clock; the first start.
        step_s: From one start to the next.
        starts: As a file says them.
        windows: Ascending.
        cases: One a cell, all windows of the first start first.
    """

    scenario: Scenario
    begin_s: float
    step_s: float
    starts: tuple[float | str, ...]
    windows: tuple[int, ...]
    cases: tuple[Case, ...]

    def number(self, column: int, row: int) -> int:
        """Which candidate a start and a window make."""
        return column * len(self.windows) + row

    def place(self, number: int) -> tuple[int, int]:
        """The start and the window of a candidate."""
        return divmod(number, len(self.windows))

    @property
    def end_s(self) -> float:
        """Where the last start's cell ends."""
        return self.begin_s + len(self.starts) * self.step_s

    def clock(self, time_s: float) -> str:
        """A time of the traffic's clock as a person reads it: ``03:30``."""
        second = round(time_s + _past_midnight_s(self.scenario.rates())) % int(DAY_S)
        text = f"{second // 3600:02d}:{second % 3600 // 60:02d}"
        return text if self.step_s >= 60 else f"{text}:{second % 60:02d}"

    def own(self) -> tuple[int, int] | None:
        """The cell that the scenario itself is in; None where it is in none."""
        column = math.floor((self.scenario.start_s() - self.begin_s) / self.step_s + 1e-9)
        window = self.scenario.window_count()
        if not 0 <= column < len(self.starts) or window not in self.windows:
            return None
        return column, self.windows.index(window)

    def traffic(self) -> tuple[Floats, Floats]:
        """The rate over the day: times on the traffic's clock, requests a second, shape (n,) each."""
        time_s = np.linspace(self.begin_s, self.end_s, 289)
        middles = (time_s[1:] + time_s[:-1]) / 2
        return middles, self.scenario.rates().rate_at(middles)

    def freezes(self) -> list[tuple[float, float]]:
        """From when to when no rollout may run, on the traffic's clock, cut to the day."""
        rule = self.scenario.rollout
        offset_s, found = _past_midnight_s(self.scenario.rates()), []
        for begins, ends in rule.freeze if rule is not None else ():
            first, last = clock_time_s(begins), clock_time_s(ends)
            assert first is not None
            assert last is not None
            lasts_s = (last - first) % DAY_S
            day = math.floor((self.begin_s + offset_s) / DAY_S)
            for number in range(day - 1, day + 3):
                begin_s = number * DAY_S + first - offset_s
                cut = max(begin_s, self.begin_s), min(begin_s + lasts_s, self.end_s)
                if cut[0] < cut[1]:
                    found.append(cut)
        return found


def base_of(scenario: Scenario) -> dict[str, object]:
    """What a grid is of: the scenario without the start and the window, which it varies.

    The number of replications belongs to it: it is how many runs decide a cell.
    """
    data = scenario.as_data()
    for name in ("name", "question"):
        data.pop(name, None)
    for part, key in (("clock", "start"), ("rollout", "window")):
        inside = data.get(part)
        if isinstance(inside, dict):
            inside.pop(key, None)
    return data


def why_no_grid(scenario: Scenario) -> str | None:
    """Why there is nothing to choose; None where there is."""
    if scenario.rollout is None:
        return "Nothing is rolled out in this scenario"
    table = scenario.rates()
    rates = table.rates_rps[np.isfinite(table.rates_rps)]
    if not len(rates) or (np.ptp(rates) == 0 and not scenario.rollout.freeze and not table.ends):
        rate = f"{count_text(float(rates[0]))} requests/s" if len(rates) else "nothing comes"
        return (
            f"Traffic is the same all day: {rate}. When the rollout starts does not matter; "
            "how wide its window is does."
        )
    return None


def grid_of(scenario: Scenario, windows: Sequence[int]) -> CellGrid:
    """The day that the scenario starts in, and these windows.

    Raises:
        BadInput: A window does not fit the fleet, or the start lies outside the traffic.
    """
    table = scenario.rates()
    begin_s, end_s = _day_of(scenario, table)
    span_s = end_s - begin_s
    step_s = next((step for step in _STEPS_S if span_s / step <= _MOST_STARTS), 3600.0)
    count = max(1, math.floor(span_s / step_s + 1e-9))
    starts: list[float | str] = []
    for number in range(count):
        start_s = begin_s + number * step_s
        label = clock_label(start_s, table.first_row)
        exact = start_second(label, table.first_row) == start_s
        starts.append(label if exact else start_s)
    rows = tuple(sorted(set(windows)))
    cases = cases_of(scenario, rows, starts=starts)
    return CellGrid(scenario, begin_s, step_s, tuple(starts), rows, cases)


def _day_of(scenario: Scenario, table: RateTable) -> tuple[float, float]:
    """From midnight to midnight around the start, as far as the traffic reaches."""
    offset_s = _past_midnight_s(table)
    day = math.floor((scenario.start_s() + offset_s) / DAY_S)
    begin_s, end_s = day * DAY_S - offset_s, (day + 1) * DAY_S - offset_s
    if table.ends:
        begin_s = max(begin_s, float(table.edges_s[0]))
        end_s = min(end_s, float(table.edges_s[-1]))
    return begin_s, end_s


def _past_midnight_s(table: RateTable) -> float:
    """At what second of its day the traffic's second 0 is."""
    first = table.first_row
    return 0.0 if first is None else first.hour * 3600.0 + first.minute * 60.0 + first.second


def coarse_first(grid: CellGrid, numbers: Iterable[int]) -> list[int]:
    """The cells in an order that shows the whole day soon: every eighth start, then those between."""
    rank = {column: order for order, column in enumerate(_spread(len(grid.starts)))}
    return sorted(numbers, key=lambda number: (rank[grid.place(number)[0]], number))


def _spread(count: int) -> Iterator[int]:
    seen: set[int] = set()
    for step in (8, 4, 2, 1):
        for column in range(0, count, step):
            if column not in seen:
                seen.add(column)
                yield column


def frame_for(grid: CellGrid) -> SimulatedInterval:
    """The simulated time that suits all cells."""
    return frame_of_cases(grid.cases)


def estimate_cell(
    grid: CellGrid, number: int, frame: SimulatedInterval | None = None
) -> CellFigures:
    """What closed forms expect of a cell; those that cannot be simulated are left out.

    Args:
        grid: The cells.
        number: Which one.
        frame: The simulated time; left out, nobody asks whether the trace reaches so far.
    """
    applied = grid.cases[number].scenario
    frozen = find_freeze(applied, 0.0)
    if frozen is not None:
        return CellFigures("out", f"starts in the freeze {frozen}")
    try:
        if frame is not None:
            ends_s = traffic_around(applied, frame).data_ends_s()
            if ends_s < frame.horizon_s:
                where = f"{duration_text(ends_s)} after the start" if ends_s > 0 else "at the start"
                return CellFigures("out", f"the trace has a gap or its end {where}")
        found = estimate(applied)
    except BadInput as error:
        return CellFigures("out", str(error))
    answer, why = estimate_answer(found, applied)
    duration, p99 = found.rollout_duration_s, found.rollout_latency_p99_s
    return CellFigures(
        answer,
        why,
        None if duration is None else duration.value,
        None if p99 is None else p99.value,
    )


@dataclass
class _Tally:
    """The runs of a cell so far, added up."""

    meeting: int = 0
    runs: int = 0
    reasons: Counter[Breach] = field(default_factory=Counter)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, scenario: Scenario, run: RunResult) -> None:
        broken = broken_objectives(scenario, run)
        self.runs += 1
        self.meeting += not broken
        self.reasons.update(broken)
        for name in ("rollout_duration_s", "rollout_latency_p99_s"):
            value = run.metrics[name]
            if value is not None:
                self.sums.setdefault(name, []).append(value)

    def found(self, share: float, confidence: float, planned: int) -> CellFigures:
        def mean(name: str) -> float | None:
            values = self.sums.get(name)
            return sum(values) / len(values) if values else None

        said = self.reasons.most_common(1)
        return CellFigures(
            answer_so_far(self.meeting, self.runs, planned, share, confidence),
            f"{breach_text(said[0][0])} in {said[0][1]} of {self.runs} runs" if said else "",
            mean("rollout_duration_s"),
            mean("rollout_latency_p99_s"),
            self.runs,
            self.meeting,
            planned,
        )


Simulate = Callable[[Sequence[Cell], SimulatedInterval], Iterable[tuple[Cell, RunResult]]]
"""What runs cells: `simulation.study.cells.run_cells`, with where and how they are run."""


def simulate_cells(
    grid: CellGrid,
    known: Mapping[int, CellFigures],
    frame: SimulatedInterval,
    simulate: Simulate = run_cells,
) -> Generator[tuple[int, CellFigures, tuple[int, int]], None, None]:
    """What runs say of the cells, as they land; with how many have, and of how many.

    All cells get one run, then three, then `FIRST_LOOK`; those that are still undecided then get as
    many as the scenario asks for.

    Args:
        grid: The cells.
        known: What is known already; what is left out there is not simulated.
        frame: The simulated time, see `frame_for`.
        simulate: What runs cells.

    Raises:
        BadInput: They cannot be simulated.
    """
    objectives = grid.scenario.objectives
    most = grid.scenario.replications
    asked = (objectives.in_runs, objectives.confidence, most)
    places = {case: number for number, case in enumerate(grid.cases)}
    tallies = {number: _Tally() for number in places.values() if known[number].answer != "out"}
    open_ones = coarse_first(grid, tallies)
    rounds = sorted({min(one, most) for one in (*_ROUNDS, most)})
    done, total = 0, len(open_ones) * min(FIRST_LOOK, most)
    for before, until in itertools.pairwise((0, *rounds)):
        if until > FIRST_LOOK:
            total = done + len(open_ones) * (until - before)
        cells = [
            Cell(grid.cases[number], replication)
            for replication in range(before, until)
            for number in open_ones
        ]
        for cell, run in simulate(cells, frame):
            number = places[cell.case]
            tally = tallies[number]
            tally.add(cell.case.scenario, run)
            done += 1
            yield number, tally.found(*asked), (done, max(done, total))
        if until >= FIRST_LOOK:
            open_ones = [
                number
                for number in open_ones
                if tallies[number].found(*asked).answer == "undecided"
            ]


_STANDINGS = {
    "meets": "meets",
    "fails": "fails",
    "undecided": "is undecided",
    "so far": "is not decided yet",
    "should meet": "should meet",
    "should fail": "should fail",
    "": "has no estimate",
    "out": "is left out",
}


def _standing(found: CellFigures) -> str:
    """How a cell is counted, one of `_STANDINGS`."""
    if found.is_open:
        return "so far"
    if found.is_estimate and found.answer in ("meets", "fails"):
        return {"meets": "should meet", "fails": "should fail"}[found.answer]
    return found.answer


def sentence_of(grid: CellGrid, found: Mapping[int, CellFigures], row: int) -> str:
    """What the day holds for one window: ``Window 4, of 48 starts: meets at 31, fails at 9, …``.

    What runs have shown, what they have not shown yet and what is only estimated are counted apart.
    """
    mine = [(column, found.get(grid.number(column, row))) for column in range(len(grid.starts))]
    known = [(column, one) for column, one in mine if one is not None]
    if not known:
        return ""
    counts = Counter(_standing(one) for _column, one in known)
    told = [f"{words} at {counts[key]}" for key, words in _STANDINGS.items() if counts[key]]
    said = f"Window {grid.windows[row]}, of {len(grid.starts)} starts: {', '.join(told)}."
    p99s = [(one.p99_s, column) for column, one in known if one.p99_s is not None]
    if p99s and max(p99s)[0] > 1.05 * min(p99s)[0]:
        lowest, column = min(p99s)
        said += (
            f" p99 is lowest at {grid.clock(grid.begin_s + column * grid.step_s)}, "
            f"{latency_text(lowest)}."
        )
    if any(one.is_estimate for _column, one in known):
        said += " Pale cells are estimates."
    return said
