"""Cases that are equal in effect: whatever is simulated of one is simulated of all, so one run serves all.

A start on traffic that never changes, a window of 25 % beside one of 2 in fleets of eight, or a window
of a strategy that has none make different candidates of one and the same simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from executor.base.canonical_json import digest_of
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import TimestampsRate, TraceRate
from simulation.study.case import Case
from simulation.study.ignored_keys import ignored_keys


@dataclass(frozen=True)
class SharedRuns:
    """The cases of a study of which runs are needed, and which of these runs each case has.

    Attributes:
        cases: One case of each group of cases that are equal in effect: the first.
        places: For each case of the study, the index in `cases` of the case whose runs it shares.
    """

    cases: tuple[Case, ...]
    places: tuple[int, ...]


def share_runs(cases: Sequence[Case]) -> SharedRuns:
    """Return which cases of one study share their runs."""
    firsts: dict[str, int] = {}
    distinct: list[Case] = []
    places = []
    for case in cases:
        key = digest_of(simulated_data(case.scenario))
        if key not in firsts:
            firsts[key] = len(distinct)
            distinct.append(case)
        places.append(firsts[key])
    return SharedRuns(tuple(distinct), tuple(places))


def simulated_data(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as data without all that changes nothing in its runs.

    Left out is what only judges a result: name, question, the number of replications, freezes, and the
    objectives other than the latency from which a request counts as slow, and the classes that have
    limits. So are keys that the strategy
    ignores, and the start where the rate is one number. (Where the rate changes to the same number, the
    arrivals are drawn in other pieces from each start, so their last digits differ.) Traffic from a file counts as the
    content of the file, a start as its second on the traffic's clock or its weekday and time, and a window as the number of
    instances of each service.
    """
    data = scenario.as_data()
    for name in ("name", "question", "replications", "objectives"):
        data.pop(name, None)
    data["slow_over_s"] = scenario.objectives.latency_p99
    data["judged_classes"] = sorted(scenario.objectives.classes)
    rate = scenario.traffic.rate
    if isinstance(rate, TraceRate | TimestampsRate):
        data["traffic"]["rate"] = rate.content()
    table = scenario.rates()
    is_drawn = scenario.drawn_days() is not None
    has_one_rate = len(table.rates_rps) == 1 and not table.ends and not is_drawn
    is_replay = scenario.traffic.arrivals == "replay"
    start = scenario.start_label() if is_drawn else scenario.start_s()
    data["clock"]["start"] = None if has_one_rate and not is_replay else start
    if scenario.rollout is not None:
        rollout = data["rollout"]
        rollout["window"] = [scenario.window_count(name) for name in scenario.rolled_services()]
        ignored = (key for group in ignored_keys(scenario) for key in group.keys)
        for key in ("rollout.freeze", *ignored):
            if key.startswith("rollout."):
                rollout.pop(key.removeprefix("rollout."), None)
    return data
