"""The rules of a verdict as a table of cases: the runs' figures, and every column of the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from executor.plan.model import ObjectiveVerdict
from simulation.results.judged import Figures, Stretch
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.study.judging.figures import Figure
from simulation.study.judging.objectives import keys_that_may_be_missed
from simulation.study.judging.rules import ratio_lower_bound, without_worst
from simulation.study.statistics.proportions import clopper_pearson
from simulation.study.verdict import verdict
from tests.helpers.scenarios import scenario


def requests(p99_s: float | None = 0.1, failed: int = 0, of: int = 1000) -> Figures:
    """Return the figures of an arm in one stretch."""
    return Figures(of, failed, p99_s)


NONE_SEEN = requests(None, of=0)


def stretch(
    rollout: Figures, control: Figures | None, new: Figures | None = None, name: str = ""
) -> Stretch:
    def arm(figures: Figures | None) -> dict[str, Figures] | None:
        if figures is None:
            return None
        return {name: figures, "": figures if not name else requests()}

    of_rollout = arm(rollout)
    assert of_rollout is not None
    return Stretch(0.0, 60.0, of_rollout, arm(control), arm(new))


def runs(
    count: int,
    *stretches: Stretch,
    control_metrics: dict[str, float | None] | None = None,
    **metrics: float | None,
) -> list[RunResult]:
    """Return so many equal runs."""
    figures: dict[str, float | None] = dict.fromkeys(METRICS)
    figures |= {"lowest_in_pool_count": 3.0, "rollout_duration_s": 60.0, **metrics}
    run = RunResult(
        ended=Ending.DONE,
        settled_s=60.0,
        end_s=60.0,
        requests={},
        metrics=figures,
        alone=figures,
        bin_s=1.0,
        series={},
        states=StateIntervals.of(()),
        stretches=stretches,
        control_metrics=control_metrics,
    )
    return [run] * count


P99 = {"latency_p99": "4s"}
ERRORS = {"error_fraction": "1%"}


@dataclass(frozen=True)
class Case:
    """Runs, and what the verdict must say of them; each objective as a row of its columns.

    The columns are: name, answer, limit, figure with the rollout, figure without, runs that break it, runs
    beyond it without a rollout, cause; and the class, where it is one's.
    """

    objectives: dict[str, Any]
    runs: Sequence[RunResult]
    answer: str
    meeting: int
    rows: Sequence[tuple[Any, ...]]
    reasons: Sequence[str] = field(default=())


MISSES_AT_16 = "p99 4 s does not hold at 16:00 even without a rollout: "
UNDECIDED = " runs meet every objective, which neither shows nor refutes 95 % with 95 % confidence"

CASES = {
    "at the limit": Case(
        P99,
        runs(60, stretch(requests(4.0), requests(3.5))),
        "meets", 60,
        [("latency_p99", "meets", 4.0, 4.0, 3.5, 0, 0, None)],
    ),
    "beyond it by more than the margin in every run": Case(
        P99,
        runs(60, stretch(requests(5.4), requests(3.34))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 5.4, 3.34, 60, 0, "rollout")],
        ["p99 above 4 s in 60 of 60 runs: typically 5.4 s, without a rollout 3.34 s"],
    ),
    "the typical run crosses the limit by less than the margin": Case(
        P99,
        runs(60, stretch(requests(4.10), requests(3.95))),
        "fails", 60,
        [("latency_p99", "fails", 4.0, 4.1, 3.95, 0, 0, "rollout")],
        ["the typical run crosses the limit of p99 4 s: typically 4.1 s, without a rollout 3.95 s"],
    ),
    "four runs do not show what the typical run does": Case(
        P99,
        runs(4, stretch(requests(4.10), requests(3.95))),
        "undecided", 4,
        [("latency_p99", "undecided", 4.0, 4.1, 3.95, 0, 0, None)],
        [f"4 of 4{UNDECIDED}"],
    ),
    "some runs cross it by less than the margin": Case(
        P99,
        runs(20, stretch(requests(4.10), requests(3.95)))
        + runs(40, stretch(requests(3.0), requests(3.0))),
        "meets", 60,
        [("latency_p99", "meets", 4.0, 3.0, 3.0, 0, 0, None)],
    ),
    "the same with a margin of 1 %": Case(
        {**P99, "margin": "1%"},
        runs(20, stretch(requests(4.10), requests(3.95)))
        + runs(40, stretch(requests(3.0), requests(3.0))),
        "fails", 40,
        [("latency_p99", "fails", 4.0, 3.0, 3.0, 20, 0, "rollout")],
        ["p99 above 4 s in 20 of 60 runs: typically 3 s, without a rollout 3 s"],
    ),
    "the fleet misses it and the rollout makes it no worse": Case(
        P99,
        runs(60, stretch(requests(4.7), requests(4.6))),
        "misses_anyway", 60,
        [("latency_p99", "misses_anyway", 4.0, 4.7, 4.6, 0, 60, "fleet")],
        [f"{MISSES_AT_16}4.6 s"],
    ),
    "the fleet misses it and the rollout makes it much worse": Case(
        P99,
        runs(60, stretch(requests(9.0), requests(4.1))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 9.0, 4.1, 60, 60, "rollout")],
        [
            "p99 above 4 s in 60 of 60 runs: typically 9 s, without a rollout 4.1 s",
            f"{MISSES_AT_16}4.1 s",
        ],
    ),
    "a window loses 20 % in a fleet that misses its p99 anyway": Case(
        {**P99, **ERRORS},
        runs(60, stretch(requests(math.inf, failed=200), requests(math.inf, failed=15, of=1000))),
        "fails", 0,
        [
            ("error_fraction", "fails", 0.01, 0.2, 0.015, 60, 60, "rollout"),
            ("latency_p99", "misses_anyway", 4.0, None, None, 0, 60, "fleet"),
        ],
        [
            "errors above 1 % in 60 of 60 runs: typically 20 %, without a rollout 1.5 %",
            "an error fraction of 1 % does not hold at 16:00 even without a rollout: 1.5 %",
            f"{MISSES_AT_16}more than 1 % lost",
        ],
    ),
    "the rollout alone loses so much that it has no p99": Case(
        P99,
        runs(60, stretch(requests(math.inf, failed=20), requests(3.0))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, None, 3.0, 60, 0, "rollout")],
        ["p99 above 4 s in 60 of 60 runs: typically more than 1 % lost, without a rollout 3 s"],
    ),
    "noise of few requests that the control shows too": Case(
        P99,
        runs(6, stretch(requests(4.3, of=300), requests(4.3, of=300)))
        + runs(54, stretch(requests(3.3, of=300), requests(3.3, of=300))),
        "meets", 60,
        [("latency_p99", "meets", 4.0, 3.3, 3.3, 0, 6, None)],
        ["without a rollout, too, p99 of 300 requests is above 4 s in 10 % of such intervals"],
    ),
    "no request in any run": Case(
        {**P99, **ERRORS, "failed_requests": 0},
        runs(60, stretch(NONE_SEEN, NONE_SEEN)),
        "undecided", 0,
        [
            ("error_fraction", "undecided", 0.01, None, None, 0, None, None),
            ("latency_p99", "undecided", 4.0, None, None, 0, None, None),
            ("failed_requests", "undecided", 0.0, None, None, 0, None, None),
        ],
        [f"0 of 60{UNDECIDED}", "no request was seen in 60 of 60 runs"],
    ),
    "no request in one run of 181, of which four may break it": Case(
        P99,
        runs(1, stretch(NONE_SEEN, NONE_SEEN)) + runs(180, stretch(requests(), requests())),
        "meets", 180,
        [("latency_p99", "meets", 4.0, 0.1, 0.1, 0, 0, None)],
        ["no request was seen in 1 of 181 runs"],
    ),
    "no request in one run of 60, of which none may break it": Case(
        P99,
        runs(1, stretch(NONE_SEEN, NONE_SEEN)) + runs(59, stretch(requests(), requests())),
        "undecided", 59,
        [("latency_p99", "undecided", 4.0, 0.1, 0.1, 0, 0, None)],
        [f"59 of 60{UNDECIDED}", "no request was seen in 1 of 60 runs"],
    ),
    "the new version is slower wherever it runs": Case(
        P99,
        runs(60, stretch(requests(5.0), requests(3.5), requests(5.2))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 5.0, 3.5, 60, 0, "version")],
        [
            "p99 above 4 s in 60 of 60 runs: typically 5 s, without a rollout 3.5 s",
            "p99 4 s does not hold on the new version, wherever it runs: 5.2 s",
        ],
    ),
    "the new version misses it, the rollout is over before": Case(
        P99,
        runs(60, stretch(requests(3.9), requests(3.5), requests(4.5))),
        "meets", 60,
        [("latency_p99", "meets", 4.0, 3.9, 3.5, 0, 0, "version")],
        ["p99 4 s does not hold on the new version, wherever it runs: 4.5 s"],
    ),
    "the fleet misses it, and the new version is much worse": Case(
        P99,
        runs(60, stretch(requests(9.0), requests(4.1), requests(9.0))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 9.0, 4.1, 60, 60, "version")],
        [
            "p99 above 4 s in 60 of 60 runs: typically 9 s, without a rollout 4.1 s",
            f"{MISSES_AT_16}4.1 s",
            "p99 4 s does not hold on the new version, wherever it runs: 9 s",
        ],
    ),
    "old and new version miss it alike": Case(
        P99,
        runs(60, stretch(requests(4.5), requests(4.5), requests(4.6))),
        "misses_anyway", 60,
        [("latency_p99", "misses_anyway", 4.0, 4.5, 4.5, 0, 60, "fleet")],
        [f"{MISSES_AT_16}4.5 s"],
    ),
    # 30 of 60 runs lose one of 20 requests: single runs are all or nothing, the sums lie above 1 %.
    "few requests: a fraction is missed by the ratio of sums": Case(
        ERRORS,
        runs(30, stretch(requests(failed=1, of=20), requests(failed=1, of=20)))
        + runs(30, stretch(requests(of=20), requests(of=20))),
        "misses_anyway", 60,
        [("error_fraction", "misses_anyway", 0.01, 0.025, 0.025, 0, 30, "fleet")],
        [
            "an error fraction of 1 % does not hold at 16:00 even without a rollout: 2.5 %",
            "1 % of 20 requests is less than one request, a single lost request breaks the limit: "
            "objectives.failed_requests fits better",
        ],
    ),
    # Three runs of uncertain traffic lose 90 %: pooled 4.5 %, but in_runs leaves 5 % of the runs out.
    "few extreme runs do not make a fleet that misses": Case(
        ERRORS,
        runs(3, stretch(requests(math.inf, failed=900), requests(math.inf, failed=900)))
        + runs(57, stretch(requests(), requests())),
        "meets", 60,
        [("error_fraction", "meets", 0.01, 0.0, 0.0, 0, 3, None)],
    ),
    "a count that the fleet exceeds by itself": Case(
        {"failed_requests": 10},
        runs(30, stretch(requests(failed=12), requests(failed=12)))
        + runs(30, stretch(requests(failed=14), requests(failed=14))),
        "misses_anyway", 60,
        [("failed_requests", "misses_anyway", 10.0, 13.0, 13.0, 0, 60, "fleet")],
        [
            "a maximum of 10 failed requests does not hold at 16:00 even without a rollout: 13",
        ],
    ),
    "one request more than a count allows": Case(
        {"failed_requests": 10},
        runs(60, stretch(requests(failed=11), requests(failed=0))),
        "fails", 0,
        [("failed_requests", "fails", 10.0, 11.0, 0.0, 60, 0, "rollout")],
        ["more than 10 requests failed in 60 of 60 runs: typically 11, without a rollout 0"],
    ),
    "a single lost request breaks a fraction of few requests": Case(
        {"error_fraction": "0.1%"},
        runs(10, stretch(requests(failed=1, of=300), requests(of=300)))
        + runs(50, stretch(requests(of=300), requests(of=300))),
        "fails", 50,
        [("error_fraction", "fails", 0.001, 0.0, 0.0, 10, 0, "rollout")],
        [
            "errors above 0.1 % in 10 of 60 runs: typically 0 %, without a rollout 0 %",
            "0.1 % of 300 requests is less than one request, a single lost request breaks the limit: "
            "objectives.failed_requests fits better",
        ],
    ),
    "a stretch is held against the same stretch": Case(
        P99,
        runs(
            60, stretch(requests(6.0), requests(3.0)), stretch(requests(3.0), requests(6.0))
        ),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 6.0, 6.0, 60, 60, "rollout")],
        [
            "p99 above 4 s in 60 of 60 runs: typically 6 s, without a rollout 6 s",
            f"{MISSES_AT_16}6 s",
        ],
    ),
    "one stretch of three breaks the run": Case(
        P99,
        runs(
            60,
            stretch(requests(3.0), requests(3.0)),
            stretch(requests(5.0), requests(3.2)),
            stretch(NONE_SEEN, NONE_SEEN),
        ),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 5.0, 3.2, 60, 0, "rollout")],
        ["p99 above 4 s in 60 of 60 runs: typically 5 s, without a rollout 3.2 s"],
    ),
    # In the second stretch the fleet loses 2 %; over both together it would lose 1 %.
    "a fraction is missed in one stretch": Case(
        {"error_fraction": "1%"},
        runs(
            60,
            stretch(requests(), requests()),
            stretch(requests(failed=20), requests(failed=20)),
        ),
        "misses_anyway", 60,
        [("error_fraction", "misses_anyway", 0.01, 0.02, 0.02, 0, 60, "fleet")],
        ["an error fraction of 1 % does not hold at 16:00 even without a rollout: 2 %"],
    ),
    "broken in three runs of 60": Case(
        P99,
        runs(3, stretch(requests(5.0), requests(3.0)))
        + runs(57, stretch(requests(3.0), requests(3.0))),
        "undecided", 57,
        [("latency_p99", "undecided", 4.0, 3.0, 3.0, 3, 0, None)],
        [
            "p99 above 4 s in 3 of 60 runs: typically 3 s, without a rollout 3 s",
            f"57 of 60{UNDECIDED}",
        ],
    ),
    "undecided comes before what is missed anyway": Case(
        {**P99, **ERRORS},
        runs(2, stretch(requests(4.5, failed=15), requests(4.5)))
        + runs(58, stretch(requests(4.5), requests(4.5))),
        "undecided", 58,
        [
            ("error_fraction", "undecided", 0.01, 0.0, 0.0, 2, 0, None),
            ("latency_p99", "misses_anyway", 4.0, 4.5, 4.5, 0, 60, "fleet"),
        ],
        [
            "errors above 1 % in 2 of 60 runs: typically 0 %, without a rollout 0 %",
            f"{MISSES_AT_16}4.5 s",
            f"58 of 60{UNDECIDED}",
        ],
    ),
    "two objectives hold alone, too many runs break one of them": Case(
        {**P99, "failed_requests": 0, "in_runs": "90%"},
        runs(9, stretch(requests(5.0), requests(3.0)))
        + runs(9, stretch(requests(failed=1), requests()))
        + runs(82, stretch(requests(), requests())),
        "fails", 82,
        [
            ("latency_p99", "undecided", 4.0, 0.1, 0.1, 9, 0, None),
            ("failed_requests", "undecided", 0.0, 0.0, 0.0, 9, 0, None),
        ],
        [
            "p99 above 4 s in 9 of 100 runs: typically 0.1 s, without a rollout 0.1 s",
            "more than 0 requests failed in 9 of 100 runs: typically 0, without a rollout 0",
        ],
    ),
    "judged absolutely, whatever the control does": Case(
        {**P99, "judge": "absolute"},
        runs(60, stretch(requests(4.1), requests(4.1), requests(4.1))),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 4.1, None, 60, None, None)],
        ["p99 above 4 s in 60 of 60 runs"],
    ),
    "there is no control": Case(
        P99,
        runs(60, stretch(requests(4.1), None)),
        "fails", 0,
        [("latency_p99", "fails", 4.0, 4.1, None, 60, None, None)],
        ["p99 above 4 s in 60 of 60 runs"],
    ),
    "runs without stretches are judged by their metrics": Case(
        {**P99, **ERRORS, "failed_requests": 3},
        runs(60, rollout_latency_p99_s=4.1, rollout_error_fraction=0.005, failed_requests=4.0),
        "fails", 0,
        [
            ("error_fraction", "meets", 0.01, 0.005, None, 0, None, None),
            ("latency_p99", "fails", 4.0, 4.1, None, 60, None, None),
            ("failed_requests", "fails", 3.0, 4.0, None, 60, None, None),
        ],
        ["p99 above 4 s in 60 of 60 runs", "more than 3 requests failed in 60 of 60 runs"],
    ),
    "a class has limits of its own": Case(
        {
            "latency_p99": "4s",
            "classes": {
                "page": {"latency_p99": "1s", "error_fraction": "1%", "failed_requests": 20}
            },
        },
        runs(60, stretch(requests(1.5, failed=8), requests(0.7), name="page")),
        "fails", 0,
        [
            ("latency_p99", "meets", 4.0, 0.1, 0.1, 0, 0, None),
            ("error_fraction", "meets", 0.01, 0.008, 0.0, 0, 0, None, "page"),
            ("latency_p99", "fails", 1.0, 1.5, 0.7, 60, 0, "rollout", "page"),
            ("failed_requests", "meets", 20.0, 8.0, 0.0, 0, 0, None, "page"),
        ],
        [
            "p99 of class page above 1 s in 60 of 60 runs: typically 1.5 s, without a rollout 0.7 s",
        ],
    ),
    "no request of a class was seen": Case(
        {"classes": {"page": {"error_fraction": "1%"}}},
        runs(60, stretch(requests(), requests())),
        "undecided", 0,
        [("error_fraction", "undecided", 0.01, None, None, 0, None, None, "page")],
        [f"0 of 60{UNDECIDED}", "no request of class page was seen in 60 of 60 runs"],
    ),
    "connections are cut by the rollout": Case(
        {"cut_connections": 5},
        runs(60, control_metrics={"cut_connections": 0.0}, cut_connections=6.0),
        "fails", 0,
        [("cut_connections", "fails", 5.0, 6.0, 0.0, 60, 0, "rollout")],
        ["more than 5 connections cut in 60 of 60 runs"],
    ),
    "a share of the connections is cut": Case(
        {"cut_connections": "5%"},
        runs(60, control_metrics={"cut_connections_fraction": 0.0}, cut_connections_fraction=0.04),
        "meets", 60,
        [("cut_connections_fraction", "meets", 0.05, 0.04, 0.0, 0, 0, None)],
    ),
    "what only a rollout has is judged absolutely": Case(
        {"duration": "50s", "lowest_in_pool": 4, "most_instances": 5, "failed_instances": 1},
        runs(60, most_instances_count=5.0, failed_instances_count=2.0),
        "fails", 0,
        [
            ("duration", "fails", 50.0, 60.0, None, 60, None, "rollout"),
            ("most_instances", "meets", 5.0, 5.0, None, 0, None, None),
            ("failed_instances", "fails", 1.0, 2.0, None, 60, None, "rollout"),
            ("lowest_in_pool", "fails", 4.0, 3.0, None, 60, None, "rollout"),
        ],
        [
            "duration above 50 s in 60 of 60 runs",
            "more than 1 instances failed in 60 of 60 runs",
            "fewer than 4 in the pool in 60 of 60 runs",
        ],
    ),
}  # fmt: skip
ENDS_WELL = ("ends_well", "meets", None, None, None, 0, None, None)


def row(objective: ObjectiveVerdict) -> tuple[Any, ...]:
    columns = tuple(objective.model_dump().values())
    return columns if objective.class_name else columns[:-1]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_rules_of_a_verdict(case: Case) -> None:
    one = scenario(
        rollout={"window": 1},
        clock={"start": "16:00"},
        classes={"page": {}, "image": {"share": "40%"}},
        objectives=case.objectives,
    )
    made = verdict(one, case.runs)
    assert (made.answer, made.runs_meeting, made.runs) == (
        case.answer,
        case.meeting,
        len(case.runs),
    )
    rows = [row(objective) for objective in made.objectives]
    ends_well, rest = rows[0], rows[1:]
    assert rest == list(case.rows)
    undecided = (*ENDS_WELL[:1], "undecided", *ENDS_WELL[2:])
    assert ends_well == (undecided if len(case.runs) < 59 else ENDS_WELL)
    # What is proposed after an undecided answer is held by the tests of the statistics.
    reasons = [reason.partition("; a new study")[0] for reason in made.reasons]
    assert reasons == list(case.reasons)
    confidence = one.objectives.confidence
    assert made.lower_bound == clopper_pearson(case.meeting, len(case.runs), confidence)[0]


def test_where_nothing_is_rolled_the_fleet_is_the_cause() -> None:
    one = scenario(objectives=P99)
    [_, p99] = verdict(one, runs(60, stretch(requests(4.1), None))).objectives
    assert (p99.answer, p99.cause) == ("fails", "fleet")


@pytest.mark.parametrize(("in_runs", "answer"), [("40%", "meets"), ("95%", "fails")])
def test_a_crossing_is_typical_only_beyond_the_share_of_runs_that_may_break_it(
    in_runs: str, answer: str
) -> None:
    """Where 60 % of the runs may break a limit, 50 of 80 that cross it by little are no failure."""
    one = scenario(rollout={"window": 1}, objectives={**P99, "in_runs": in_runs})
    crossing = runs(50, stretch(requests(4.10), requests(3.95)))
    below = runs(30, stretch(requests(3.0), requests(3.0)))
    assert verdict(one, crossing + below).answer == answer


def test_the_bound_of_a_ratio_is_that_of_a_mean_where_all_denominators_are_equal() -> None:
    """Of 1, 2, 3 and 4: mean 2.5, s = 1.29099, t(0.95; 3) = 2.35336, so 2.5 − 2.35336·s/2 = 0.98091."""
    figures = [Figure(float(k), float(k), 1) for k in (1, 2, 3, 4)]
    assert ratio_lower_bound(figures, 0.95) == pytest.approx(0.98091, abs=1e-5)
    assert ratio_lower_bound(figures[:1], 0.95) == -math.inf
    assert [one.value for one in without_worst(figures, 0.25)] == [1, 2, 3]


def test_only_what_happens_without_a_rollout_too_may_be_missed_anyway() -> None:
    one = scenario(
        rollout={"window": 1},
        classes={"page": {}},
        objectives={
            **P99,
            "duration": "1m",
            "cut_connections": "5%",
            "classes": {"page": {"failed_requests": 1}},
        },
    )
    assert keys_that_may_be_missed(one) == [
        "latency_p99",
        "cut_connections_fraction",
        "classes.page.failed_requests",
    ]
