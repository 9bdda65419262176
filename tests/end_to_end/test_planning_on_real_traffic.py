"""The planner on real traffic: a series on which the start decides, and one on which it hardly matters.

The data stays outside the project because of its licence; where it is absent these tests skip. Similar
tests on generated traffic are in `tests/studio/cli/test_searches.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.plan.file import read_plan
from tests.end_to_end.test_real_traffic import RATES, rollcast

WORLD_CUP = RATES / "wc98_june01-24_per_min.csv.gz"
BALANCER = RATES / "aws_elb_request_count_5min.csv"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RATES.exists(), reason="the real traffic data is not at hand"),
]

FLEET = """\
    slots: 4
    balancer: {policy: least_connections}
    steps: {stop: 500ms, deploy: {mean: 30s, cv: 0.3}, start: {mean: 20s, cv: 0.5}}
rollout: {window: 2, drain: {timeout: 5s}}
objectives: {error_fraction: 0.1%, latency_p99: 1s, duration: 10m}
"""


def scenario(trace: Path, scale: float, instances: int, service_time: str) -> str:
    return (
        "rollcast: scenario/1\n"
        f"traffic: {{rate: {{trace: {trace}, scale: {scale}}}}}\n"
        "services:\n  web:\n"
        f"    instances: {instances}\n    service_time: {{mean: {service_time}, cv: 1}}\n{FLEET}"
    )


def test_on_the_day_of_the_record_the_start_decides(tmp_path: Path) -> None:
    """A tenth of 23 June 1998 at 1-minute steps: up to 282/s at 15:57; the fleet serves 355/s."""
    path = tmp_path / "record.yaml"
    path.write_text(scenario(WORLD_CUP, 0.1, 16, "180ms"), encoding="utf-8")
    starts = "1998-06-23 00:00..1998-06-23 23:00/1h,1998-06-23 15:56"
    told = ("--windows", "2,4,8", "--starts", starts, "--jobs", "1")
    found = rollcast("plan", path, *told, "-o", tmp_path / "plan.json")
    everyone = found["considered"]
    chosen, busiest = everyone[found["chosen"]], everyone[found["busiest"]]
    assert chosen["window"] == busiest["window"] == 8
    assert chosen["start"].startswith("1998-06-23 ")
    assert busiest["start"] == "1998-06-23 15:56:00"
    assert busiest["outcome"] == "fails"
    assert busiest["reason"] == (
        "p99 above 1 s in 10 of 10 runs: typically 32.7 s, without a rollout 0.879 s"
    )
    assert found["starts"].startswith("The start matters: of 25 starts tried, this way to roll")
    plan = read_plan(tmp_path / "plan.json")
    assert plan.window == 8
    assert plan.prediction.verdict.answer == "meets"
    assert plan.evidence is not None
    assert plan.evidence.confirmations[-1].held


def test_on_a_nearly_flat_series_the_start_hardly_matters(tmp_path: Path) -> None:
    """Fourteen days of a balancer, multiplied by 100: 0.3 to 219/s; the fleet serves 480/s."""
    path = tmp_path / "flat.yaml"
    path.write_text(scenario(BALANCER, 100, 12, "100ms"), encoding="utf-8")
    told = ("--windows", "2", "--starts", "2014-04-10 00:04..2014-04-24 00:04/6h", "--jobs", "1")
    found = rollcast("plan", path, *told, "-o", tmp_path / "plan.json")
    assert found["starts"].startswith("The start hardly matters: none of ")
    assert found["counts"]["chosen"] == 1
    assert found["counts"]["no traffic"] > 0  # the series has gaps, which no start may meet
    assert set(found["counts"]) == {"chosen", "as fast", "no traffic"}
