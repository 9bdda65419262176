"""From a scenario to a plan on real traffic: the record minute of the World Cup site, scaled to a tenth.

The data stays outside the project because of its licence; where it is absent these tests skip. A similar
test on a shipped scenario is in `tests/test_expected.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.resources import scenarios_dir
from tests.test_expected import assert_window_decides

DATA = Path(os.environ.get("ROLLCAST_TEST_DATA", scenarios_dir().parent.parent / "shared" / "data"))
RATES = DATA / "rates"
TRACE = RATES / "wc98_june01-24_per_min.csv.gz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRACE.exists(), reason="the real traffic data is not at hand"),
]

SCENARIO = f"""\
rollcast: scenario/1
replications: 8
clock: {{start: "1998-06-23 15:57"}}
traffic: {{rate: {{trace: {TRACE}, scale: 0.1}}}}
services:
  web:
    instances: 16
    slots: 4
    service_time: {{mean: 180ms, cv: 1}}
    balancer: {{policy: least_connections}}
    steps: {{stop: 500ms, deploy: {{mean: 3s, cv: 0.3}}, start: {{mean: 2s, cv: 0.5}}}}
rollout: {{window: 2, drain: {{timeout: 5s}}}}
"""


def rollcast(*words: str | Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "studio", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("trial") / "final.yaml"
    path.write_text(SCENARIO)
    return rollcast("compare", path, "--windows", "1,2,4,8")


def test_wider_windows_are_faster_and_at_some_point_worse(answer: dict[str, Any]) -> None:
    assert_window_decides(answer)


def test_the_trace_is_read_at_its_record_minute(answer: dict[str, Any]) -> None:
    """The trace has 169,010 requests in the minute of 15:57 and 167,070 in the next; the scenario takes a tenth."""
    assert answer["candidates"][0]["candidate"]["start"] == "1998-06-23 15:57:00"
    took = answer["candidates"][0]["metrics"]["rollout_duration_s"]["mean"] + 10
    arrived = answer["candidates"][0]["requests"]["arrived"] / answer["replications"]
    expected = 16_901.0 + 16_707.0 / 60 * (took - 60)
    assert arrived == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("name", "start", "rate_rps"),
    [
        ("appserver4_hourly_2018-2019H1.csv.gz", "2018-01-01 01:30", 133790 / 3600),
        ("aws_elb_request_count_5min.csv", "2014-04-10 00:10", 56 / 300),
        ("nasa_jul13_per_sec.csv.gz", "1s", 1.0),
        ("nasa_jul95_per_min.csv.gz", "1995-07-01 00:03:10", 71 / 60),
    ],
)
def test_every_trace_can_be_read(name: str, start: str, rate_rps: float) -> None:
    from simulation.scenario.model import Scenario

    one = Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "clock": {"start": start, "horizon": "1s"},
            "traffic": {"rate": {"trace": str(RATES / name)}},
            "services": {"app": {"instances": 1, "service_time": "10ms"}},
        }
    )
    assert one.rates().rate_at(one.start_s()) == pytest.approx(rate_rps)
