"""The grid of starts and windows over a day of a scenario's traffic, or over the coming week, as data.

Each cell first has the figures of closed forms, then those of simulated runs.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from executor.base.errors import BadInput
from executor.plan.model import Answer
from simulation.estimates.estimate import estimate
from simulation.results.run_result import RunResult
from simulation.run import traffic_around
from simulation.scenario.freeze import find_freeze, may_start_matter
from simulation.scenario.inputs.days import WeekdayStart, weekday_start, whole_days
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, RateTable, clock_label, clock_time_s, start_second
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.scenario.units import Floats
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.judging.figures import JudgedRun, read_run
from simulation.study.statistics.number_of_runs import planned_runs
from simulation.study.statistics.proportions import FIRST_LOOK, answer_so_far
from simulation.study.verdict import Breach, breach_text, verdict_of
from studio.views.figures_text import (
    ANSWER_WORDS,
    MISSES_ANYWAY,
    count_text,
    duration_text,
    latency_text,
)
from studio.views.sentences import estimate_answer

_STEPS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
_MOST_STARTS = 48
_WEEK_STEP_S = 4 * 3600.0
"""Time from one start to the next in a week, in seconds."""
_ROUNDS = (1, 3, FIRST_LOOK)
"""Number of runs of every cell after each round; no cell gets more before all have as many."""

ANSWERS = ("meets", "fails", "undecided", MISSES_ANYWAY, "", "out")
"""The answers for a cell; empty while nothing is known, ``out`` where nothing can be simulated."""


@dataclass(frozen=True)
class CellFigures:
    """The figures of a cell, estimated or simulated.

    Attributes:
        answer: One of `ANSWERS`.
        why: The first reason, in words.
        duration_s: The mean duration of the rollout, in seconds.
        p99_s: The mean p99 of the latency during the rollout, in seconds.
        runs: Number of simulated runs; 0 for an estimate.
        meeting: Number of runs that meet every objective.
        planned: Number of runs that decide the cell, see `answer_so_far`.
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
        """Return whether the figures come from closed forms."""
        return self.runs == 0 and self.answer != "out"

    @property
    def is_confirmed(self) -> bool:
        """Return whether runs have decided the cell; only then it has ✓, ✗ or ◇."""
        return self.runs > 0 and self.answer in ("meets", "fails", MISSES_ANYWAY)

    @property
    def is_open(self) -> bool:
        """Return whether the cell waits for more runs."""
        return 0 < self.runs < self.planned and self.answer == "undecided"

    @property
    def fill_fraction(self) -> float | None:
        """Return the share of all planned runs that have met; None for estimates and confirmed cells."""
        if self.runs == 0 or self.is_confirmed:
            return None
        return self.meeting / max(self.planned, self.runs)

    def words(self) -> str:
        """Return the figures as a sentence without its subject."""
        if self.answer == "out":
            return f"left out: {self.why}"
        if self.runs:
            answer = "so far" if self.is_open else ANSWER_WORDS[self.answer]
            text = f"{answer}: meets every objective in {self.meeting} of {self.runs} runs"
            if self.is_open:
                text += f", {self.planned} decide"
        else:
            text = f"{self.why} (estimate)" if self.answer else self.why
        if self.duration_s is not None:
            text += f" · takes {duration_text(self.duration_s)}"
        if self.p99_s is not None:
            text += f" · p99 {latency_text(self.p99_s)}"
        if self.runs and self.why:
            text += f" · {self.why}"
        return text


@dataclass(frozen=True)
class CellGrid:
    """The cells of a day or a week: every start with every window.

    Attributes:
        scenario: The scenario that is rolled out.
        begin_s: The first start, on the traffic's clock, in seconds.
        step_s: Time from one start to the next, in seconds.
        starts: The starts as a scenario file writes them.
        windows: The windows, ascending.
        cases: One for each cell; all windows of the first start come first.
        is_week: Whether the starts are weekdays of the coming week; second 0 is then the beginning
            of Monday.
    """

    scenario: Scenario
    begin_s: float
    step_s: float
    starts: tuple[float | str, ...]
    windows: tuple[int, ...]
    cases: tuple[Case, ...]
    is_week: bool = False

    def number(self, column: int, row: int) -> int:
        """Return the number of the candidate with a start and a window."""
        return column * len(self.windows) + row

    def place(self, number: int) -> tuple[int, int]:
        """Return the numbers of a candidate's start and window."""
        return divmod(number, len(self.windows))

    @property
    def end_s(self) -> float:
        """Return the end of the last start's cell, on the traffic's clock, in seconds."""
        return self.begin_s + len(self.starts) * self.step_s

    def clock(self, time_s: float) -> str:
        """Return a time of the traffic's clock as text: ``03:30``, in a week ``Tue 03:30``."""
        if self.is_week:
            return _in_week(time_s).label()
        second = round(time_s + _past_midnight_s(self.scenario.rates())) % int(DAY_S)
        text = f"{second // 3600:02d}:{second % 3600 // 60:02d}"
        return text if self.step_s >= 60 else f"{text}:{second % 60:02d}"

    def own(self) -> tuple[int, int] | None:
        """Return the cell of the scenario's own start and window; None where the grid has no such cell."""
        start = weekday_start(self.scenario.clock.start) if self.is_week else None
        start_s = self.scenario.start_s() if start is None else start.weekday * DAY_S + start.time_s
        column = math.floor((start_s - self.begin_s) / self.step_s + 1e-9)
        window = self.scenario.window_count()
        if not 0 <= column < len(self.starts) or window not in self.windows:
            return None
        return column, self.windows.index(window)

    def traffic(self) -> tuple[Floats, Floats]:
        """Return the rate over the grid: times on the traffic's clock in seconds, requests per second; shape (n,) each."""
        time_s = np.linspace(self.begin_s, self.end_s, 289)
        middles = (time_s[1:] + time_s[:-1]) / 2
        if self.is_week:
            tables = [
                _with_start(self.scenario, _in_week(day * DAY_S).file_text()).rates()
                for day in range(7)
            ]
            rates = [float(tables[int(at // DAY_S)].rate_at(DAY_S + at % DAY_S)) for at in middles]
            return middles, np.array(rates)
        return middles, self.scenario.rates().rate_at(middles)

    def freezes(self) -> list[tuple[float, float]]:
        """Return the freezes within the grid as begin and end, in seconds on the traffic's clock."""
        rule = self.scenario.rollout
        offset_s, intervals = _past_midnight_s(self.scenario.rates()), []
        for begins, ends in rule.freeze if rule is not None else ():
            first, last = clock_time_s(begins), clock_time_s(ends)
            assert first is not None
            assert last is not None
            lasts_s = (last - first) % DAY_S
            day = math.floor((self.begin_s + offset_s) / DAY_S)
            for number in range(day - 1, day + 2 + math.ceil((self.end_s - self.begin_s) / DAY_S)):
                begin_s = number * DAY_S + first - offset_s
                cut = max(begin_s, self.begin_s), min(begin_s + lasts_s, self.end_s)
                if cut[0] < cut[1]:
                    intervals.append(cut)
        return intervals


def base_of(scenario: Scenario) -> dict[str, object]:
    """Return the scenario's data without the start and the window, which the grid varies.

    The number of replications stays in the data: it is the number of runs that decide a cell, where it is given.
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
    """Return the reason why a grid would show no difference; None where it would."""
    if scenario.rollout is None:
        return "Nothing is rolled out in this scenario"
    table = scenario.rates()
    rates = table.rates_rps[np.isfinite(table.rates_rps)]
    if not len(rates) or not may_start_matter(scenario):
        rate = f"{count_text(float(rates[0]))} requests/s" if len(rates) else "nothing comes"
        return (
            f"Traffic is the same all day: {rate}. When the rollout starts does not matter; "
            "how wide its window is does."
        )
    return None


def grid_of(scenario: Scenario, windows: Sequence[int]) -> CellGrid:
    """Return the grid of the day in which the scenario starts, with these windows.

    Where the scenario starts on a weekday and the trace knows every weekday, this is the coming week.

    Raises:
        BadInput: A window does not fit the fleet, or the start lies outside the traffic.
    """
    table, own = scenario.rates(), weekday_start(scenario.clock.start)
    rows = tuple(sorted(set(windows)))
    if own is not None and _knows_every_weekday(scenario):
        count = round(7 * DAY_S / _WEEK_STEP_S)
        week = tuple(_in_week(number * _WEEK_STEP_S).file_text() for number in range(count))
        cases = cases_of(scenario, rows, starts=week)
        return CellGrid(scenario, 0.0, _WEEK_STEP_S, week, rows, cases, is_week=True)
    begin_s, end_s = _day_of(scenario, table)
    span_s = end_s - begin_s
    step_s = next((step for step in _STEPS_S if span_s / step <= _MOST_STARTS), 3600.0)
    count = max(1, math.floor(span_s / step_s + 1e-9))
    starts: list[float | str] = []
    for number in range(count):
        start_s = begin_s + number * step_s
        if own is not None:
            starts.append(replace(own, time_s=start_s % DAY_S).file_text())
            continue
        label = clock_label(start_s, table.first_row)
        exact = start_second(label, table.first_row) == start_s
        starts.append(label if exact else start_s)
    cases = cases_of(scenario, rows, starts=starts)
    return CellGrid(scenario, begin_s, step_s, tuple(starts), rows, cases)


def _in_week(time_s: float) -> WeekdayStart:
    """Return the weekday and time of a second of the week, which begins on Monday."""
    return WeekdayStart(int(time_s // DAY_S) % 7, time_s % DAY_S)


def _with_start(scenario: Scenario, start: str) -> Scenario:
    clock = scenario.clock.model_copy(update={"start": start})
    return scenario.model_copy(update={"clock": clock})


def _knows_every_weekday(scenario: Scenario) -> bool:
    return len({day.weekday() for day, _ in whole_days(scenario.calendar())}) == 7


def _day_of(scenario: Scenario, table: RateTable) -> tuple[float, float]:
    """Return begin and end of the day of the start, in seconds, cut to the traffic."""
    offset_s = _past_midnight_s(table)
    day = math.floor((scenario.start_s() + offset_s) / DAY_S)
    begin_s, end_s = day * DAY_S - offset_s, (day + 1) * DAY_S - offset_s
    if table.ends:
        begin_s = max(begin_s, float(table.edges_s[0]))
        end_s = min(end_s, float(table.edges_s[-1]))
    return begin_s, end_s


def _past_midnight_s(table: RateTable) -> float:
    """Return the second of the day at which the traffic's clock is 0."""
    first = table.first_row
    return 0.0 if first is None else first.hour * 3600.0 + first.minute * 60.0 + first.second


def coarse_first(grid: CellGrid, numbers: Iterable[int]) -> list[int]:
    """Return the cells in an order that soon shows the whole day: every eighth start, then those between."""
    rank = {column: order for order, column in enumerate(_spread(len(grid.starts)))}
    return sorted(numbers, key=lambda number: (rank[grid.place(number)[0]], number))


def _spread(count: int) -> Iterator[int]:
    done: set[int] = set()
    for step in (8, 4, 2, 1):
        for column in range(0, count, step):
            if column not in done:
                done.add(column)
                yield column


def frame_for(grid: CellGrid) -> SimulatedInterval:
    """Return the simulated time that suits all cells."""
    return frame_of_cases(grid.cases)


def estimate_cell(
    grid: CellGrid, number: int, frame: SimulatedInterval | None = None
) -> CellFigures:
    """Return the figures of a cell by closed forms; ``out`` for a cell that cannot be simulated.

    Args:
        grid: The cells.
        number: The cell's number.
        frame: The simulated time; None to leave unchecked whether the trace is long enough.
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
    """The sums over the runs of a cell so far."""

    scenario: Scenario
    judged: list[JudgedRun] = field(default_factory=list)
    meeting: int = 0
    reasons: Counter[Breach] = field(default_factory=Counter)
    sums: dict[str, list[float]] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        return len(self.judged)

    def add(self, run: RunResult) -> None:
        judged = read_run(self.scenario, run)
        self.judged.append(judged)
        self.meeting += judged.is_good
        self.reasons.update(judged.breaches)
        for name in ("rollout_duration_s", "rollout_latency_p99_s"):
            value = run.metrics[name]
            if value is not None:
                self.sums.setdefault(name, []).append(value)

    def figures(self, share: float, confidence: float, planned: int) -> CellFigures:
        def mean(name: str) -> float | None:
            values = self.sums.get(name)
            return sum(values) / len(values) if values else None

        commonest = self.reasons.most_common(1)
        answer: Answer = answer_so_far(self.meeting, self.runs, planned, share, confidence)
        if self.runs == planned:
            answer = verdict_of(self.scenario, self.judged).answer
        return CellFigures(
            answer,
            f"{breach_text(commonest[0][0])} in {commonest[0][1]} of {self.runs} runs"
            if commonest
            else "",
            mean("rollout_duration_s"),
            mean("rollout_latency_p99_s"),
            self.runs,
            self.meeting,
            planned,
        )


Simulate = Callable[[Sequence[Cell], SimulatedInterval], Iterable[tuple[Cell, RunResult]]]
"""A function that runs cells, such as `simulation.study.cells.run_cells` with an execution."""


def simulate_cells(
    grid: CellGrid,
    known: Mapping[int, CellFigures],
    frame: SimulatedInterval,
    simulate: Simulate = run_cells,
) -> Generator[tuple[int, CellFigures, tuple[int, int]], None, None]:
    """Simulate the cells; yield a cell's number and figures after each run, and the progress.

    All cells get one run, then three, then `FIRST_LOOK`. A cell that is still undecided then gets as
    many runs as are planned. The progress is the number of finished runs and of all runs.

    Args:
        grid: The cells.
        known: The figures so far; a cell whose answer is ``out`` there is not simulated.
        frame: The simulated time, see `frame_for`.
        simulate: Runs cells.

    Raises:
        BadInput: The cells cannot be simulated.
    """
    objectives = grid.scenario.objectives
    most = planned_runs(grid.scenario, grid.cases).count
    limits = (objectives.in_runs, objectives.confidence, most)
    places = {case: number for number, case in enumerate(grid.cases)}
    tallies = {
        number: _Tally(case.scenario)
        for case, number in places.items()
        if known[number].answer != "out"
    }
    undecided = coarse_first(grid, tallies)
    rounds = sorted({min(count, most) for count in (*_ROUNDS, most)})
    done, total = 0, len(undecided) * min(FIRST_LOOK, most)
    for before, until in itertools.pairwise((0, *rounds)):
        if until > FIRST_LOOK:
            total = done + len(undecided) * (until - before)
        cells = [
            Cell(grid.cases[number], replication)
            for replication in range(before, until)
            for number in undecided
        ]
        for cell, run in simulate(cells, frame):
            number = places[cell.case]
            tally = tallies[number]
            tally.add(run)
            done += 1
            yield number, tally.figures(*limits), (done, max(done, total))
        if until >= FIRST_LOOK:
            undecided = [
                number
                for number in undecided
                if tallies[number].figures(*limits).answer == "undecided"
            ]


_STANDINGS = {
    "meets": "meets",
    "fails": "fails",
    "undecided": "is undecided",
    MISSES_ANYWAY: "misses anyway",
    "so far": "is not decided yet",
    "should meet": "should meet",
    "should fail": "should fail",
    "": "has no estimate",
    "out": "is left out",
}


def _standing(figures: CellFigures) -> str:
    """Return the key of `_STANDINGS` under which a cell is counted."""
    if figures.is_open:
        return "so far"
    if figures.is_estimate and figures.answer in ("meets", "fails"):
        return {"meets": "should meet", "fails": "should fail"}[figures.answer]
    return figures.answer


def sentence_of(grid: CellGrid, found: Mapping[int, CellFigures], row: int) -> str:
    """Return the sentence about one window's day: ``Window 4, of 48 starts: meets at 31, fails at 9, …``.

    Confirmed, undecided and estimated cells are counted separately.
    """
    cells = [(column, found.get(grid.number(column, row))) for column in range(len(grid.starts))]
    known = [(column, figures) for column, figures in cells if figures is not None]
    if not known:
        return ""
    counts = Counter(_standing(figures) for _column, figures in known)
    parts = [f"{words} at {counts[key]}" for key, words in _STANDINGS.items() if counts[key]]
    sentence = f"Window {grid.windows[row]}, of {len(grid.starts)} starts: {', '.join(parts)}."
    p99s = [(figures.p99_s, column) for column, figures in known if figures.p99_s is not None]
    if p99s and max(p99s)[0] > 1.05 * min(p99s)[0]:
        lowest, column = min(p99s)
        sentence += (
            f" p99 is lowest at {grid.clock(grid.begin_s + column * grid.step_s)}, "
            f"{latency_text(lowest)}."
        )
    if any(figures.is_estimate for _column, figures in known):
        sentence += " Pale cells are estimates."
    return sentence
