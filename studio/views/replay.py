"""One run over time: the state of each instance at any moment, and the events of the run.

A `Story` finds the states of a moment by one binary search over all instances, so that a cursor can be
dragged through the run.
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
from simulation.study.candidate_result import CandidateResult
from studio.views.candidate.endings import is_done, stop_text
from studio.views.figures_text import clock_text, count_text, latency_text
from studio.views.sentences import failure_text

Numbers = NDArray[np.intp]

STATES = tuple(State)
_CODE = {state: code for code, state in enumerate(STATES)}


@dataclass(frozen=True)
class ReplayEvent:
    """An event of a run that is worth a stop of the replay.

    Attributes:
        time_s: Time of the event, in seconds from the rollout's start.
        words: The event in words.
        instance: Number of the instance; None for an event of the whole rollout.
    """

    time_s: float
    words: str
    instance: int | None = None


@dataclass(frozen=True)
class Group:
    """The instances of a service, which are numbered on from ``first``.

    Attributes:
        count: Number of instances, replacements beside the old ones included.
        own_count: Number of instances without such replacements.
    """

    service: str
    first: int
    count: int
    own_count: int


@dataclass(frozen=True)
class StateSpan:
    """An interval in which an instance has one state and one version."""

    state: State
    begin_s: float
    end_s: float
    is_new: bool


@dataclass(frozen=True, eq=False)
class Story:
    """A run, ready to be replayed.

    Attributes:
        run: The run's result.
        names: The names of all instances, one service after the other.
        groups: The instances of each service.
        waves: The instances of each wave, for services that are rolled in several waves.
        instance: Number of the instance of each interval of states, ascending, shape (intervals,).
        code: State of each interval, an index of `STATES`.
        begin_s: Begin of each interval, in seconds, ascending within an instance.
        end_s: End of each interval, in seconds.
        is_new: True for an interval in which the instance has the new version.
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
        """Return the number of instances."""
        return len(self.names)

    def short_name(self, instance: int) -> str:
        """Return a name that fits on a tile: ``07`` of ``checkout-07``, ``07+`` of ``checkout-07-new``."""
        group = next(one for one in reversed(self.groups) if one.first <= instance)
        name = self.names[instance]
        short = name.removeprefix(f"{group.service}-") or name
        is_second = instance - group.first >= group.own_count
        return f"{short.removesuffix('-new')}+" if is_second else short

    @property
    def until_s(self) -> float:
        """Return the end of the story, when the rollout has settled, in seconds."""
        return self.run.settled_s

    @property
    def rollout_end_s(self) -> float:
        """Return the time at which the rollout was done, in seconds; the end of the story if it never was."""
        duration_s = self.run.metrics["rollout_duration_s"]
        return self.until_s if duration_s is None else min(duration_s, self.until_s)

    def at(self, time_s: float) -> Numbers:
        """Return the number of the interval that each instance is in at a moment, shape (instances,).

        Before the run it is the instance's first interval, after the run the last.
        """
        since_s = min(max(0.0, time_s - self._zero_s), self._span_s - 1.0)
        wanted = np.arange(self.count) * self._span_s + since_s
        return np.searchsorted(self._keys, wanted, side="right") - 1

    def spell(self, interval: int) -> StateSpan:
        """Return one interval of states."""
        return StateSpan(
            STATES[self.code[interval]],
            float(self.begin_s[interval]),
            float(self.end_s[interval]),
            bool(self.is_new[interval]),
        )

    def spells_of(self, instance: int) -> list[StateSpan]:
        """Return the intervals of an instance in their order, without those that took no time."""
        low, high = np.searchsorted(self.instance, [instance, instance + 1])
        intervals = [self.spell(k) for k in range(low, high)]
        return [interval for interval in intervals if interval.end_s > max(0.0, interval.begin_s)]

    @cached_property
    def series(self) -> dict[str, Floats]:
        """The series of the run, which may keep them compressed: every frame reads some of them."""
        return dict(self.run.series)

    def busy_fraction(self, time_s: float) -> float:
        """Return the busy share of the slots, as the mean over all instances that are up."""
        return self.value("utilisation_fraction", time_s)

    def value(self, series: str, time_s: float) -> float:
        """Return the value of a series in the bin of a moment; NaN where there is none."""
        values = self.series[series]
        place = min(max(0, int(time_s / self.run.bin_s)), len(values) - 1)
        return float(values[place]) if len(values) else float("nan")

    @cached_property
    def changes_s(self) -> Floats:
        """Return the times at which any instance changes its state, in seconds, without repetition."""
        inside = (self.begin_s >= 0) & (self.begin_s <= self.until_s)
        return np.unique(np.concatenate([[0.0], self.begin_s[inside], [self.until_s]]))

    @cached_property
    def order(self) -> Numbers:
        """Return the instances that left their first state, in the order in which they did."""
        moved = (self.code != _CODE[State.SERVING]) & (self.code != _CODE[State.ABSENT])
        moved &= self.end_s > 0
        first = np.full(self.count, np.inf)
        np.minimum.at(first, self.instance[moved], self.begin_s[moved])
        order = np.argsort(first, kind="stable")
        moved_first: Numbers = order[np.isfinite(first[order])]
        return moved_first

    @cached_property
    def worst(self) -> ReplayEvent:
        """Return the worst moment of the run, the first to look at.

        It is the moment at which most requests fail. If none fails, it is the moment at which capacity falls
        shortest of the traffic; if capacity suffices, the moment with the highest p99 of at least
        `ENOUGH_REQUESTS` requests, and where fewer were answered, the one with the least room. Moments after
        the rollout count until all has settled: backlogs, cold caches and retry storms are at their worst then.
        Means over a few bins find the place (see `judged_width`), then the worst bin there counts, if it has
        enough requests of its own.
        """
        bin_s, series = self.run.bin_s, self.series
        count = max(1, min(len(series["capacity_rps"]), int(np.ceil(self.until_s / bin_s))))
        width = judged_width(count)
        whole = np.zeros(count, dtype=np.bool_)
        whole[width // 2 : count - width // 2] = True  # means at the edges are of fewer bins
        failed, p99 = series["failed_rps"][:count], series["latency_p99_s"][:count]
        room = np.where(
            whole, smooth((series["capacity_rps"] - series["offered_rps"])[:count], width), np.inf
        )
        answered = np.nan_to_num(series["served_rps"][:count] * bin_s)
        slow = _p99_of_enough(p99, answered, width)
        own_p99 = np.where(answered >= ENOUGH_REQUESTS, p99, np.nan)
        if np.nanmax(failed, initial=0.0) > 0:
            around = int(np.argmax(smooth(failed, width)))
            place = _worst_bin(failed, around, width)
        elif room.min() < 0 or not np.isfinite(slow).any():
            place = int(np.argmin(room))
        else:
            around = int(np.nanargmax(slow))
            place = _worst_bin(own_p99, around, width)
        facts = (
            [] if not failed[place] > 0 else [f"{count_text(float(failed[place]))} requests/s fail"]
        )
        if np.isfinite(own_p99[place]):
            facts.append(f"p99 {latency_text(float(own_p99[place]))}")
        elif np.isfinite(slow[place]):
            facts.append(f"p99 around it {latency_text(float(slow[place]))}")
        least = float(room[place])
        if least < 0 or (not facts and np.isfinite(least)):
            side = "above" if least < 0 else "below"
            facts.append(f"traffic {count_text(abs(least))}/s {side} capacity")
        at_s = min((place + 0.5) * bin_s, self.until_s)
        return ReplayEvent(at_s, f"worst moment: {', '.join(facts)}")

    @cached_property
    def events(self) -> tuple[ReplayEvent, ...]:
        """Return the events of the run, by time."""
        events = [self.worst, *self._moves(), *self._wave_ends(), self._lowest()]
        if self.run.metrics["rollout_duration_s"] is not None:
            words = "is done" if is_done(self.run) else f"was {stop_text(self.run)}"
            events.append(ReplayEvent(self.rollout_end_s, f"the rollout {words}"))
            if self.run.ended is Ending.HORIZON:
                events.append(ReplayEvent(self.until_s, "the queue has not settled by the end"))
        else:
            by = self.run.stopped_by
            last = "" if by is None else f": {failure_text(by, len(self.groups) > 1)}"
            events.append(ReplayEvent(self.until_s, f"the rollout was {stop_text(self.run)}{last}"))
        return tuple(sorted(events, key=lambda event: event.time_s))

    def _moves(self) -> Iterator[ReplayEvent]:
        """Yield the events of single instances: left the pool, came back, failed."""
        for k in np.flatnonzero((self.begin_s >= 0) & (self.begin_s <= self.until_s)):
            number, state = int(self.instance[k]), STATES[self.code[k]]
            before = k > 0 and self.instance[k - 1] == number
            words = _STATE_WORDS.get(state)
            if state is State.SERVING:
                repaired = before and self.code[k - 1] == _CODE[State.CRASHED]
                words = "repaired" if repaired else "back in the pool" if before else None
            if words is not None:
                yield ReplayEvent(float(self.begin_s[k]), f"{self.names[number]} {words}", number)

    def _wave_ends(self) -> Iterator[ReplayEvent]:
        """Yield the end of each wave, where there are several waves."""
        serving = self.code == _CODE[State.SERVING]
        for place, wave in enumerate(self.waves, 1):
            mine = np.isin(self.instance, wave) & serving & self.is_new
            if len(np.unique(self.instance[mine])) == len(wave):
                first = [self.begin_s[mine & (self.instance == member)].min() for member in wave]
                yield ReplayEvent(float(max(first)), f"wave {place} of {len(self.waves)} is back")

    def _lowest(self) -> ReplayEvent:
        values = self.series["capacity_rps"]
        place = int(np.argmin(values[: max(1, int(np.ceil(self.until_s / self.run.bin_s)))]))
        words = f"lowest capacity: {count_text(float(values[place]))} requests/s"
        return ReplayEvent(min((place + 0.5) * self.run.bin_s, self.until_s), words)


_STATE_WORDS = {
    State.DRAINING: "leaves the pool",
    State.FAILED: "failed",
    State.CRASHED: "crashed",
}


def story_of(run: RunResult, scenario: Scenario) -> Story:
    """Return the story of a run.

    Args:
        run: The run's result.
        scenario: The scenario that was simulated, with the candidate applied.
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
    """Yield for each interval whether the instance has the new version.

    An instance has the new version once it has started (`simulation.control.strategy`); while it starts, the
    version is the one that is being started. Where replacements run beside the old instances, the old ones keep the old version and the replacements have the new one.
    Otherwise a start changes the version; only an instance that failed is started with the old one again.
    """
    number, is_new, has_failed, before = -1, False, False, State.SERVING
    for interval in states:
        if interval.instance != number:
            number, before = interval.instance, State.ABSENT
            is_new, has_failed = twice[number] > 0, False
        if interval.state is State.RETURNING and before is State.STARTING and twice[number] == 0:
            is_new, has_failed = not (is_new or has_failed), False
        has_failed = has_failed or interval.state is State.FAILED
        before = interval.state
        is_starting = before is State.STARTING and twice[number] == 0
        yield not (is_new or has_failed) if is_starting else is_new


def _waves(scenario: Scenario) -> Iterator[tuple[int, ...]]:
    """Yield the instances of each wave, for services that are rolled in several waves."""
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
    """Return the number of bins over which means are taken before they are judged: single bins are noise.

    A twentieth of ``count`` bins, at least five, and at most a sixth.
    """
    return max(1, count // 20, min(5, count // 6))


def smooth(values: Floats, width: int) -> Floats:
    """Return the means over ``width`` bins around each bin, of the known values; NaN where none is known."""
    known = np.isfinite(values)
    kernel = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    count = np.convolve(known.astype(np.float64), kernel, mode="same")
    means: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.5)
    return means


ENOUGH_REQUESTS = 200
"""Minimum number of answered requests for a p99 that is compared with others.

The p99 of up to 100 requests is the slowest of them, so one slow request would make any bin the worst. Of 200
requests, two must be slow.
"""


def _p99_of_enough(p99: Floats, answered: Floats, width: int) -> Floats:
    """Return the mean p99 of the requests around each bin, NaN where too few were answered.

    As many bins are taken together, at least ``width``, as the busiest of them need for `ENOUGH_REQUESTS`. At
    the edges, where fewer bins are left, there is no mean.

    Args:
        p99: The p99 of each bin, in seconds.
        answered: Number of requests answered in each bin.
        width: Least number of bins that are taken together.
    """
    count = len(answered)
    while width < count and np.convolve(answered, np.ones(width), "same").max() < ENOUGH_REQUESTS:
        width += 2
    width = min(width, count)
    is_whole = np.zeros(count, dtype=np.bool_)
    is_whole[width // 2 : count - (width - 1) // 2] = True
    kernel, weights = np.ones(width), np.where(np.isfinite(p99), answered, 0.0)
    requests = np.convolve(weights, kernel, "same")
    total_s = np.convolve(weights * np.nan_to_num(p99), kernel, "same")
    has_enough = is_whole & (requests >= ENOUGH_REQUESTS)
    means: Floats = np.divide(total_s, requests, out=np.full(count, np.nan), where=has_enough)
    return means


def _worst_bin(values: Floats, around: int, width: int) -> int:
    """Return the bin with the highest value among the ``width`` bins around a bin; that bin where none has a value."""
    first = max(0, around - width // 2)
    nearby = values[first : first + width]
    return first + int(np.nanargmax(nearby)) if np.isfinite(nearby).any() else around


def typical(result: CandidateResult) -> int:
    """Return the number of the run whose p99 is nearest the median of all runs; 0 when none has a p99."""
    p99 = _p99(result)
    if not np.isfinite(p99).any():
        return 0
    return int(np.nanargmin(np.abs(p99 - np.nanmedian(p99))))


def worst_run(result: CandidateResult) -> int:
    """Return the number of the worst run: one whose rollout is not done, else the one that loses most, else the slowest."""

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
    """Return the intervals of an instance in words: ``0:12 – 0:15  draining``."""
    lines = []
    for interval in story.spells_of(instance):
        if interval.begin_s > story.until_s:
            break
        word = interval.state.value
        if interval.state is State.SERVING:
            word = f"serving ({'new' if interval.is_new else 'old'})"
        begin, end = (
            clock_text(max(0.0, interval.begin_s)),
            clock_text(min(interval.end_s, story.until_s)),
        )
        lines.append(f"{begin} – {end}  {word}")
    return lines
