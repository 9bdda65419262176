"""One run told over time: what each instance does at any moment, and what happened when.

Enters: a run's result and the scenario that was simulated. Leaves: a `Story`, which answers what
holds at a moment by one binary search over all instances, so that a cursor can be dragged through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulation.control.order import rolling_order, waves_of
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State, StateInterval
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import ALL_AT_ONCE
from simulation.scenario.units import Floats
from simulation.study.compare import CandidateResult
from studio.views.figures_text import clock_text, count_text, latency_text
from studio.views.sentences import failure_text

Numbers = NDArray[np.intp]

STATES = tuple(State)
_CODE = {state: code for code, state in enumerate(STATES)}


@dataclass(frozen=True)
class ReplayEvent:
    """Something worth stopping at.

    Attributes:
        time_s: When.
        words: What happened.
        instance: To which instance; None when to all.
    """

    time_s: float
    words: str
    instance: int | None = None


@dataclass(frozen=True)
class Group:
    """A service's instances: ``first`` and those after it.

    Attributes:
        count: How many there are, second ones included.
        own_count: How many there are without those.
    """

    service: str
    first: int
    count: int
    own_count: int


@dataclass(frozen=True)
class OutageInterval:
    """An instance in a state with a version, for a while."""

    state: State
    begin_s: float
    end_s: float
    is_new: bool


@dataclass(frozen=True, eq=False)
class Story:
    """A run, ready to be replayed.

    Attributes:
        run: What happened.
        names: Of all instances, one service after the other.
        groups: Which of them belong to which service.
        waves: The instances of each wave, of services that are rolled in several.
        instance: Whose each interval of states is, ascending, shape (intervals,).
        code: Its state, a place in `STATES`.
        begin_s: When it begins, ascending within an instance.
        end_s: When it ends.
        is_new: Whether the instance has the new version in it.
    """

    run: RunResult
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    waves: tuple[tuple[int, ...], ...]
    instance: Numbers
    code: NDArray[np.uint8]
    begin_s: Floats
    end_s: Floats
    is_new: NDArray[np.bool_]
    _keys: Floats = field(repr=False)
    _zero_s: float = 0.0
    _span_s: float = 1.0

    @property
    def count(self) -> int:
        """How many instances there are."""
        return len(self.names)

    def short_name(self, instance: int) -> str:
        """A name that fits on a tile: ``07`` of ``checkout-07``, ``07+`` of ``checkout-07-new``."""
        group = next(one for one in reversed(self.groups) if one.first <= instance)
        name = self.names[instance]
        short = name.removeprefix(f"{group.service}-") or name
        is_second = instance - group.first >= group.own_count
        return f"{short.removesuffix('-new')}+" if is_second else short

    @property
    def until_s(self) -> float:
        """The end of what is told: the rollout has settled."""
        return self.run.settled_s

    @property
    def rollout_end_s(self) -> float:
        """When the rollout was done; the end of the story when it never was."""
        duration_s = self.run.metrics["rollout_duration_s"]
        return self.until_s if duration_s is None else min(duration_s, self.until_s)

    def at(self, time_s: float) -> Numbers:
        """The interval that each instance is in at a moment, shape (instances,).

        Before the beginning it is the first, after the end the last.
        """
        since_s = min(max(0.0, time_s - self._zero_s), self._span_s - 1.0)
        wanted = np.arange(self.count) * self._span_s + since_s
        return np.searchsorted(self._keys, wanted, side="right") - 1

    def spell(self, interval: int) -> OutageInterval:
        """One interval of states."""
        return OutageInterval(
            STATES[self.code[interval]],
            float(self.begin_s[interval]),
            float(self.end_s[interval]),
            bool(self.is_new[interval]),
        )

    def spells_of(self, instance: int) -> list[OutageInterval]:
        """What an instance did, first to last; what took no time is left out."""
        low, high = np.searchsorted(self.instance, [instance, instance + 1])
        found = [self.spell(k) for k in range(low, high)]
        return [one for one in found if one.end_s > max(0.0, one.begin_s)]

    def busy_fraction(self, time_s: float) -> float:
        """Which share of their slots is busy, in the mean of all instances that are up."""
        return self.value("utilisation_fraction", time_s)

    def value(self, series: str, time_s: float) -> float:
        """A series in the bin of a moment; NaN where nothing is told."""
        values = self.run.series[series]
        place = min(max(0, int(time_s / self.run.bin_s)), len(values) - 1)
        return float(values[place]) if len(values) else float("nan")

    @cached_property
    def changes_s(self) -> Floats:
        """When any instance changes its state, from the rollout's start on; each moment once."""
        inside = (self.begin_s >= 0) & (self.begin_s <= self.until_s)
        return np.unique(np.concatenate([[0.0], self.begin_s[inside], [self.until_s]]))

    @cached_property
    def order(self) -> Numbers:
        """The instances that did something, in the order in which they began to."""
        moved = (self.code != _CODE[State.SERVING]) & (self.code != _CODE[State.ABSENT])
        moved &= self.end_s > 0
        first = np.full(self.count, np.inf)
        np.minimum.at(first, self.instance[moved], self.begin_s[moved])
        order = np.argsort(first, kind="stable")
        found: Numbers = order[np.isfinite(first[order])]
        return found

    @cached_property
    def worst(self) -> ReplayEvent:
        """The moment to look at first, of all until everything has settled.

        It is where most requests fail; where none fails, where capacity falls shortest of the traffic; where it
        suffices, where p99 is highest among bins with enough requests. The end of the rollout is no end of this:
        backlogs, cold caches and retry storms are at their worst after it. Places are found by means over a few
        bins, see `judged_width`, and then the worst bin among those.
        """
        bin_s, series = self.run.bin_s, self.run.series
        count = max(1, min(len(series["capacity_rps"]), int(np.ceil(self.until_s / bin_s))))
        width = judged_width(count)
        whole = np.zeros(count, dtype=np.bool_)
        whole[width // 2 : count - width // 2] = True  # means at the edges are of fewer bins
        failed, p99 = series["failed_rps"][:count], series["latency_p99_s"][:count]
        room = np.where(
            whole, smooth((series["capacity_rps"] - series["offered_rps"])[:count], width), np.inf
        )
        slow = _p99_of_enough(p99, series["served_rps"][:count] * bin_s, width)
        slow = np.where(whole, slow, np.nan)
        if np.nanmax(failed, initial=0.0) > 0:
            around = int(np.argmax(smooth(failed, width)))
            place = _worst_bin(failed, around, width)
        elif room.min() < 0 or not np.isfinite(slow).any():
            place = int(np.argmin(room))
        else:
            place = _worst_bin(p99, int(np.nanargmax(slow)), width)
        told = (
            [] if not failed[place] > 0 else [f"{count_text(float(failed[place]))} requests/s fail"]
        )
        if np.isfinite(p99[place]):
            told.append(f"p99 {latency_text(float(p99[place]))}")
        least = float(room[place])
        if least < 0 or (not told and np.isfinite(least)):
            side = "above" if least < 0 else "below"
            told.append(f"traffic {count_text(abs(least))}/s {side} capacity")
        at_s = min((place + 0.5) * bin_s, self.until_s)
        return ReplayEvent(at_s, f"worst moment: {', '.join(told)}")

    @cached_property
    def events(self) -> tuple[ReplayEvent, ...]:
        """What happened, by time."""
        found = [*self._moves(), *self._wave_ends(), self._lowest(), self.worst]
        if self.run.metrics["rollout_duration_s"] is not None:
            found.append(ReplayEvent(self.rollout_end_s, _ENDS[self.run.ended]))
        else:
            by = self.run.stopped_by
            last = "" if by is None else f": {failure_text(by, len(self.groups) > 1)}"
            found.append(ReplayEvent(self.until_s, f"{_ENDS[self.run.ended]}{last}"))
        return tuple(sorted(found, key=lambda one: one.time_s))

    def _moves(self) -> Iterator[ReplayEvent]:
        """What instances did that others notice: left the pool, came back, failed."""
        for k in np.flatnonzero((self.begin_s >= 0) & (self.begin_s <= self.until_s)):
            number, state = int(self.instance[k]), STATES[self.code[k]]
            before = k > 0 and self.instance[k - 1] == number
            words = _TOLD.get(state)
            if state is State.SERVING:
                repaired = before and self.code[k - 1] == _CODE[State.CRASHED]
                words = "repaired" if repaired else "back in the pool" if before else None
            if words is not None:
                yield ReplayEvent(float(self.begin_s[k]), f"{self.names[number]} {words}", number)

    def _wave_ends(self) -> Iterator[ReplayEvent]:
        """When all of a wave were back, where there are several."""
        serving = self.code == _CODE[State.SERVING]
        for place, wave in enumerate(self.waves, 1):
            mine = np.isin(self.instance, wave) & serving & self.is_new
            if len(np.unique(self.instance[mine])) == len(wave):
                first = [self.begin_s[mine & (self.instance == one)].min() for one in wave]
                yield ReplayEvent(float(max(first)), f"wave {place} of {len(self.waves)} is back")

    def _lowest(self) -> ReplayEvent:
        values = self.run.series["capacity_rps"]
        place = int(np.argmin(values[: max(1, int(np.ceil(self.until_s / self.run.bin_s)))]))
        words = f"lowest capacity: {count_text(float(values[place]))} requests/s"
        return ReplayEvent(min((place + 0.5) * self.run.bin_s, self.until_s), words)


_TOLD = {
    State.DRAINING: "leaves the pool",
    State.FAILED: "failed",
    State.CRASHED: "crashed",
}
_ENDS = {
    Ending.DONE: "the rollout is done",
    Ending.HALTED: "the rollout was halted",
    Ending.ROLLED_BACK: "the rollout was rolled back",
    Ending.HORIZON: "the rollout did not settle",
}


def story_of(run: RunResult, scenario: Scenario) -> Story:
    """A run's story.

    Args:
        run: What was simulated.
        scenario: Of what, with the candidate in it.
    """
    groups = tuple(
        Group(name, scenario.first_number(name), len(scenario.names_of(name)), one.instance_count)
        for name, one in scenario.services.items()
    )
    twice = np.zeros(sum(group.count for group in groups), dtype=np.int8)
    for group in groups:
        if group.count > group.own_count:
            second = group.first + group.own_count
            twice[group.first : second] = -1
            twice[second : group.first + group.count] = 1
    states = run.states
    instance = np.array([one.instance for one in states], dtype=np.intp)
    begin_s = np.array([one.begin_s for one in states], dtype=np.float64)
    end_s = np.array([one.end_s for one in states], dtype=np.float64)
    zero_s = float(begin_s.min(initial=0.0))
    span_s = float(end_s.max(initial=1.0)) - zero_s + 1.0
    return Story(
        run=run,
        names=scenario.all_instance_names(),
        groups=groups,
        waves=tuple(_waves(scenario)),
        instance=instance,
        code=np.array([_CODE[one.state] for one in states], dtype=np.uint8),
        begin_s=begin_s,
        end_s=end_s,
        is_new=np.array(list(_versions(states, twice)), dtype=np.bool_),
        _keys=instance * span_s + (begin_s - zero_s),
        _zero_s=zero_s,
        _span_s=span_s,
    )


def _versions(states: Sequence[StateInterval], twice: NDArray[np.int8]) -> Iterator[bool]:
    """Whether an instance has the new version, interval by interval.

    It has it from when it has started (`simulation.control.strategy`). Of instances that come twice the first
    always have the old one and the second the new one. Of others, what is brought up has the other
    version than before; but one that failed is only ever brought up again with the old one.
    """
    number, is_new, has_failed, before = -1, False, False, State.SERVING
    for one in states:
        if one.instance != number:
            number, before = one.instance, State.ABSENT
            is_new, has_failed = twice[number] > 0, False
        if one.state is State.RETURNING and before is State.STARTING and twice[number] == 0:
            is_new, has_failed = not (is_new or has_failed), False
        has_failed = has_failed or one.state is State.FAILED
        before = one.state
        yield is_new


def _waves(scenario: Scenario) -> Iterator[tuple[int, ...]]:
    """The instances of each wave, where a service is rolled in several."""
    for service in scenario.rolled_services():
        rule = scenario.rule(service)
        if rule is None or rule.strategy in ALL_AT_ONCE:
            continue
        # beside each other the new ones are the second instances, which follow the first
        first = scenario.first_number(service) + scenario.second_count(service)
        names = [str(first + k) for k in rolling_order(scenario, service)]
        waves = waves_of(rule, scenario.window_count(service), names)
        if len(waves) > 1:
            yield from (tuple(int(name) for name in wave.instances) for wave in waves)


def judged_width(count: int) -> int:
    """Over how many bins means are taken to be judged, as single ones are noise.

    A twentieth of all ``count``, but five where there are not a hundred, and never above a sixth.
    """
    return max(1, count // 20, min(5, count // 6))


def smooth(values: Floats, width: int) -> Floats:
    """Means over ``width`` bins around each, of what is told; NaN where nothing is."""
    told = np.isfinite(values)
    kernel = np.ones(width)
    total = np.convolve(np.where(told, values, 0.0), kernel, mode="same")
    count = np.convolve(told.astype(np.float64), kernel, mode="same")
    means: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.5)
    return means


_ENOUGH_REQUESTS = 100
"""Below as many answered requests a 99th percentile is the slowest one, and says little."""


def _p99_of_enough(p99: Floats, served: Floats, width: int) -> Floats:
    """The mean p99 over ``width`` bins around each, NaN where too few requests were answered in them.

    Where no stretch has `_ENOUGH_REQUESTS`, those count that have at least half as many as the fullest.

    Args:
        p99: Of each bin, s.
        served: Requests answered in each bin.
        width: Bins that are taken together.
    """
    answered = np.convolve(np.nan_to_num(served), np.ones(width), mode="same")
    needed = min(_ENOUGH_REQUESTS, answered.max(initial=0.0) / 2)
    found: Floats = np.where(answered >= needed, smooth(p99, width), np.nan)
    return found


def _worst_bin(values: Floats, around: int, width: int) -> int:
    """The bin with the highest value among those whose mean is at a place: what a line shows there."""
    first = max(0, around - width // 2)
    return first + int(np.nanargmax(values[first : first + width]))


def typical(result: CandidateResult) -> int:
    """The run whose p99 is nearest the median of all runs; the first when none has one."""
    p99 = _p99(result)
    if not np.isfinite(p99).any():
        return 0
    return int(np.nanargmin(np.abs(p99 - np.nanmedian(p99))))


def worst_run(result: CandidateResult) -> int:
    """The run that did not end well if there is one, else the one that loses most, else the slowest."""

    def badness(place: int) -> tuple[bool, float, float]:
        run = result.runs[place]
        lost, p99_s = (
            run.metrics[name] or 0.0 for name in ("rollout_error_fraction", "rollout_latency_p99_s")
        )
        return run.ended != Ending.DONE, lost, p99_s

    return max(range(len(result.runs)), key=lambda place: (badness(place), -place))


def _p99(result: CandidateResult) -> Floats:
    values = [run.metrics["rollout_latency_p99_s"] for run in result.runs]
    if all(value is None for value in values):
        values = [run.metrics["latency_p99_s"] for run in result.runs]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def sentences_of(story: Story, instance: int) -> list[str]:
    """What an instance did, in words: ``0:12 – 0:15  draining``."""
    told = []
    for one in story.spells_of(instance):
        if one.begin_s > story.until_s:
            break
        what = one.state.value
        if one.state is State.SERVING:
            what = f"serving ({'new' if one.is_new else 'old'})"
        begin, end = clock_text(max(0.0, one.begin_s)), clock_text(min(one.end_s, story.until_s))
        told.append(f"{begin} – {end}  {what}")
    return told
