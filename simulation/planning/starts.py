"""Starts: those that an option such as ``every:30m`` means, and whether it matters which one is taken."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from executor.base.errors import BadInput
from simulation.scenario.freeze import may_start_matter
from simulation.scenario.inputs.days import (
    WEEKDAYS,
    has_weekdays,
    refuse_time_alone,
    weekday_starts,
    whole_days,
)
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, clock_label, clock_time_s, start_second
from simulation.scenario.traffic import parse_start
from simulation.scenario.units import parse_duration_s
from simulation.study.candidate_result import CandidateResult
from simulation.study.candidates import Candidate

MOST_STARTS = 10_000
"""Maximum number of starts that one word may mean."""

ALIKE_DURATION, ALIKE_P99 = 1.10, 1.25
"""Maximum ratio of the highest mean to the lowest, over all starts, for which the start hardly matters."""


def parse_starts(text: str, scenario: Scenario) -> list[float | str]:
    """Return the starts that one word of ``--starts`` means.

    ``every:30m`` goes through the coming week where the trace is a week or longer, through the whole
    trace where it is shorter, and through one day where the traffic has no end;
    ``02:00..06:00/10m`` goes from one start to another, both included; ``tue..thu/22:00..05:00/30m``
    does so on each of these weekdays; any other word is one start.

    Args:
        text: The word.
        scenario: The scenario whose traffic has the clock of the starts.

    Raises:
        ValueError: The word is none of these.
    """
    table = scenario.calendar()
    weekdays = _WEEKDAYS.match(text)
    if weekdays is not None:
        return _of_weekdays(weekdays[1], weekdays[2], weekdays[3])
    if text.startswith("every:"):
        step_s = _step_s(text.removeprefix("every:"))
        if has_weekdays(table):
            known = {day.weekday() for day, _ in whole_days(table)}
            return _texts(sorted(known), 0.0, DAY_S - step_s, step_s)
        end_s = float(table.edges_s[-1]) if table.ends else DAY_S
        return _labels(scenario, 0.0, math.ceil(end_s / step_s - 1e-9), step_s)
    if ".." in text:
        first, _, rest = text.partition("..")
        last, slash, step = rest.partition("/")
        if not slash:
            raise ValueError("a range of starts needs its step, such as 02:00..06:00/10m")
        ends = [parse_start(word) for word in (first, last)]
        for end in ends:
            refuse_time_alone(end, table)
        first_s, last_s = (start_second(end, table.first_row) for end in ends)
        if last_s < first_s:
            last_s += DAY_S  # over midnight
        if last_s < first_s:
            raise ValueError("a range of starts must not end before it begins")
        step_s = _step_s(step)
        count = math.floor((last_s - first_s) / step_s + 1e-9) + 1
        return _labels(scenario, first_s, count, step_s)
    return [parse_start(text)]


_WEEKDAYS = re.compile(
    rf"^({'|'.join(WEEKDAYS)})(?:\.\.({'|'.join(WEEKDAYS)}))?[ /](.*)$", re.IGNORECASE
)
"""A weekday, or a first and a last one; and a time of day, or a range of them with its step."""


def _of_weekdays(first: str, last: str | None, times: str) -> list[float | str]:
    """Return the starts of one weekday or a range of them, such as ``fri`` to ``mon``."""
    begin = WEEKDAYS.index(first.lower())
    count = 1 if last is None else (WEEKDAYS.index(last.lower()) - begin) % 7 + 1
    weekdays = [(begin + number) % 7 for number in range(count)]
    first_time, dots, rest = times.partition("..")
    last_time, slash, step = rest.partition("/")
    if dots and not slash:
        raise ValueError("a range of starts needs its step, such as tue/22:00..05:00/30m")
    first_s, last_s = clock_time_s(first_time), clock_time_s(last_time if dots else first_time)
    if first_s is None or last_s is None:
        raise ValueError(
            "must be a weekday and time such as tue 22:00 or tue..thu/22:00..05:00/30m"
        )
    return _texts(weekdays, first_s, last_s, _step_s(step) if dots else DAY_S)


def _texts(
    weekdays: Sequence[int], first_s: float, last_s: float, step_s: float
) -> list[float | str]:
    lasts_s = (last_s - first_s) % DAY_S
    _refuse_too_many(len(weekdays) * (math.floor(lasts_s / step_s + 1e-9) + 1))
    return [start.file_text() for start in weekday_starts(weekdays, first_s, last_s, step_s)]


def _refuse_too_many(count: int) -> None:
    if count > MOST_STARTS:
        raise ValueError(f"must be at most {MOST_STARTS:,} starts, not {count:,}")


def _step_s(text: str) -> float:
    step_s = parse_duration_s(text)
    if step_s <= 0:
        raise ValueError("the step between starts must be above 0")
    return step_s


def _labels(scenario: Scenario, first_s: float, count: int, step_s: float) -> list[float | str]:
    """Return ``count`` starts in even steps, as a clock shows them where that is exact."""
    _refuse_too_many(count)
    first_row = scenario.calendar().first_row
    starts: list[float | str] = []
    for start_s in first_s + step_s * np.arange(count):
        label = clock_label(float(start_s), first_row)
        try:
            exact = start_second(label, first_row) == start_s
        except ValueError:  # the clocks show this local time twice on that day
            exact = False
        starts.append(label if exact else float(start_s))
    return starts


def without_start(candidate: Candidate) -> Candidate:
    """Return the candidate without its start, to compare ways to roll."""
    return replace(candidate, start=0.0, start_label="")


def siblings_of(candidates: Sequence[Candidate], chosen: int) -> list[int]:
    """Return the indices of candidates that differ from one in their start only, its own included."""
    same = without_start(candidates[chosen])
    return [
        number for number, candidate in enumerate(candidates) if without_start(candidate) == same
    ]


def busiest_of(scenarios: Sequence[Scenario], lasts_s: float) -> int:
    """Return the index of the start at which a rollout meets the highest rate.

    Args:
        scenarios: The scenario with each of the starts.
        lasts_s: Duration of the rollout.
    """

    def highest_rps(scenario: Scenario) -> float:
        table, start_s = scenario.rates(), scenario.start_s()
        first = int(np.searchsorted(table.edges_s, start_s, side="right")) - 1
        last = int(np.searchsorted(table.edges_s, start_s + lasts_s, side="left"))
        rates = table.rates_rps[max(0, first) : max(first + 1, last)]
        return float(np.nanmax(rates)) if np.isfinite(rates).any() else 0.0

    rates = [highest_rps(scenario) for scenario in scenarios]
    return rates.index(max(rates))


def describe_effect_of_start(
    tried: Sequence[CandidateResult | None], failing: Sequence[bool], left_out_count: int
) -> str:
    """Return a sentence that says whether it matters when a way to roll starts.

    The start hardly matters where the way to roll clearly fails at no start that was tried, the
    highest mean duration of all starts is at most 1.1 times the lowest, and the highest mean p99 is
    at most 1.25 times the lowest.

    Args:
        tried: The result at each start; None where closed forms call it hopeless.
        failing: Whether the way to roll clearly fails at each start.
        left_out_count: Number of starts that were not tried: in a freeze, or beside a gap of the
            trace.
    """
    known = [result for result in tried if result is not None]
    less = f", {left_out_count} left out" if left_out_count else ""
    if any(failing):
        return (
            f"The start matters: of {len(tried)} starts tried{less}, this way to roll clearly fails "
            f"at {sum(failing)}."
        )
    durations = _means(known, "rollout_duration_s")
    p99s = _means(known, "rollout_latency_p99_s")
    ratios = f"durations differ by a factor of {_ratio(durations):.2f}, p99 by {_ratio(p99s):.2f}"
    if _ratio(durations) <= ALIKE_DURATION and _ratio(p99s) <= ALIKE_P99:
        return (
            f"The start hardly matters: none of {len(tried)} tried{less} clearly fails, {ratios}."
        )
    lowest = min(known, key=lambda result: result.metrics["rollout_latency_p99_s"].mean or 0.0)
    return (
        f"The start matters little: none of {len(tried)} tried{less} clearly fails, but {ratios}; "
        f"p99 is lowest at {lowest.candidate.start_label}."
    )


def _means(results: Sequence[CandidateResult], name: str) -> list[float]:
    return [mean for result in results if (mean := result.metrics[name].mean) is not None]


def _ratio(values: Sequence[float]) -> float:
    return max(values) / min(values) if values and min(values) > 0 else 1.0


def starts_of(words: str | None, option: str, scenario: Scenario) -> list[float | str]:
    """Return all starts that an option means, each once.

    Raises:
        BadInput: A word of the option is no start, or there are several where no start differs from
            another.
    """
    starts: dict[float | str, None] = {}
    for word in (words or "").split(",") if words is not None else ():
        try:
            starts.update(dict.fromkeys(parse_starts(word.strip(), scenario)))
        except ValueError as error:
            raise BadInput(f"{option} {words}: {word.strip() or 'nothing'}: {error}") from None
    if len(starts) > 1 and not may_start_matter(scenario):
        raise BadInput(
            f"{option} {words}: must be one start: traffic is the same at every time "
            f"({scenario.rates().highest_rps():g} requests/s), so every start gives the same result"
        )
    return list(starts)
