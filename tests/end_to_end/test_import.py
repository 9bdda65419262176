"""From imported files to a simulated answer, and the refusal of bad files."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.importers.combine import combine
from simulation.importers.draft import draft
from simulation.importers.kinds import read_files
from simulation.scenario.file import ScenarioFile
from studio.resources import scenarios_dir
from tests.helpers.command_line import CommandLine

DATA = Path(os.environ.get("ROLLCAST_TEST_DATA", scenarios_dir().parent.parent / "shared" / "data"))
FILES = [
    path
    for folder in ("logs", "lb", "rates", "service", "fleets")
    for path in sorted((DATA / folder).glob("*"))
]


def nginx_log(rate_rps: float, mean_s: float, seconds: float, seed: int) -> str:
    """Return Poisson arrivals with exponential service as nginx logs them: a line at each request's end."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, seconds, rng.poisson(rate_rps * seconds)))
    took = rng.exponential(mean_s, len(times))
    begin = datetime(2024, 5, 1, tzinfo=UTC)
    lines = []
    for k in np.argsort(times + took):
        when = begin + timedelta(seconds=float(times[k] + took[k]))
        lines.append(
            f'10.0.0.1 - - [{when:%d/%b/%Y:%H:%M:%S +0000}] "GET / HTTP/1.1" 200 12 "-" "x" '
            f"{took[k] + 0.001:.3f} {took[k]:.3f}"
        )
    return "\n".join(lines) + "\n"


def test_a_log_is_imported_and_simulated(rollcast: CommandLine) -> None:
    rollcast.write("access.log", nginx_log(20.0, 0.2, 3600, 1))
    answer = rollcast("import", "access.log", "-o", "shop.yaml", "--plot", "fit.png")
    assert (answer.code, answer.err) == (
        0,
        "rollcast: access.log: assumed: the two numbers are $request_time "
        "$upstream_response_time; docs/importing.md says how to name them\n",
    )
    assert answer.out == (
        "shop.yaml is written, with shop-rate.csv, fit.png\n"
        "Read what it assumes. Next: rollcast compare shop.yaml\n"
    )
    assert (rollcast.folder / "fit.png").read_bytes().startswith(b"\x89PNG")
    text = (rollcast.folder / "shop.yaml").read_text()
    assert "# measured: " in text
    assert "# assumed: " in text
    simulated = rollcast("simulate", "shop.yaml", "--replications", "1", "--jobs", "1", "--json")
    assert simulated.code == 0, simulated.err
    assert simulated.json["requests"]["arrived"] > 100


@pytest.mark.slow
@given(
    rate_rps=st.floats(5, 40),
    mean_s=st.floats(0.05, 0.5),
    seed=st.integers(0, 2**31),
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_known_log_is_recovered(
    tmp_path: Path, rate_rps: float, mean_s: float, seed: int
) -> None:
    """The tolerance is five standard errors: of the rate over half an hour, of the mean over a quarter of it."""
    path = tmp_path / "access.log"
    path.write_text(nginx_log(rate_rps, mean_s, 1800, seed))
    drafted = draft(combine(read_files([path])), ["it"], "x")
    (one,) = drafted.choices.values()
    count = len(one.samples_s)
    assert one.samples_s.mean() == pytest.approx(mean_s, rel=5 / np.sqrt(count) + 0.002 / mean_s)
    scenario = drafted.scenario()
    known = scenario.rates().rates_rps
    noise = 5 / np.sqrt(rate_rps * 1500)
    assert np.nanmean(known) == pytest.approx(rate_rps, rel=noise)


NAME_NO_UNIT = {
    "aws_elb_request_count_5min.csv": "found: timestamp = 2014-04-10 00:04:00, ",
    "azure_functions_2021_200_invocations.csv": "duration: the name does not say in which unit",
    "azure_llm_2023_conv.csv.gz": "no column is known by its name and unit",
}
"""Real tables whose columns do not name what they count, or the unit."""


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="the real data is not at hand")
@pytest.mark.parametrize("path", FILES or [Path("none")], ids=lambda path: path.name)
def test_every_real_file_gives_a_scenario_that_simulates(rollcast: CommandLine, path: Path) -> None:
    answer = rollcast("import", path, "-o", "s.yaml")
    if path.name in NAME_NO_UNIT:
        assert answer.code == 2
        assert NAME_NO_UNIT[path.name] in answer.err
        return
    assert answer.code == 0, answer.err
    ScenarioFile.load(rollcast.folder / "s.yaml")
    text = (rollcast.folder / "s.yaml").read_text()
    assert "# assumed: " in text
    simulated = rollcast("simulate", "s.yaml", "--replications", "1", "--jobs", "1", "--json")
    assert simulated.code == 0, simulated.err
    assert sum(simulated.json["ended"].values()) == 1


LINE = '10.0.0.1 - - [01/May/2024:00:00:0{k} +0000] "GET / HTTP/1.1" 200 12 "-" "x"\n'
GOOD = "".join(LINE.format(k=k % 10) for k in range(100))
PACKED = gzip.compress(np.random.default_rng(1).bytes(4000).hex().encode())
MATRIX = '{"status": "success", "data": {"resultType": "vector", "result": []}}'
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: x}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"\x7fELF\0\0", "holds no text", id="binary"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(
            b"a poem\nabout spring\n", ":1: cannot tell what this is, tried", id="no kind"
        ),
        pytest.param(PACKED[:-900], "its gzip is cut short", id="cut gzip"),
        pytest.param(b"x" * 300_000, "cannot tell what this is", id="endless line"),
        pytest.param(
            (GOOD + "broken\n" * 10).encode(),
            "f:101: is no line of an access log: broken; so are 10 of 110 lines, at most 5% may be",
            id="damaged lines",
        ),
        pytest.param(MATRIX.encode(), "data.resultType: vector: must be matrix", id="vector"),
        pytest.param(
            DEPLOYMENT.encode(), "f: a: replicas: x: must be a whole number", id="replicas"
        ),
        pytest.param(b"apiVersion: v1\nkind: Service\n", "only Service", id="no workload"),
        pytest.param(
            b"time,elapsed\n2024-05-01T00:00:00,84\n2024-05-01T00:00:01,91\n",
            "f: elapsed: the name does not say in which unit; found: time = 2024-05-01T00:00:00, "
            "2024-05-01T00:00:01; elapsed = 84, 91: name what each column is",
            id="a column without a unit",
        ),
        pytest.param(
            b'{"timestamp": 1715709600, "level": "info", "msg": "refresh"}\n' * 30,
            "holds JSON, but no line of it is a request",
            id="an application's log",
        ),
        pytest.param(
            GOOD[: 2 * len(LINE.format(k=1))].encode(),
            "holds 2 requests: a rate needs at least 20",
            id="few",
        ),
        pytest.param(b"time,rate\n0,-1\n60,-2\n120,-1\n", "must not be negative", id="negative"),
    ],
)
def test_bad_files(rollcast: CommandLine, text: bytes, said: str) -> None:
    rollcast.refuses(["import", "f", "-o", "s.yaml"], {"f": text}, said, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("import none.log -o s.yaml", "none.log: cannot be read: No such file"),
        ("import . -o s.yaml", "is not a regular file"),
        ("import f f -o s.yaml", "f: is given twice"),
        ("import f -o f", "f: exists already, it is not written over"),
        ("import f -o nowhere/s.yaml", "no such directory: nowhere"),
        ("import f -o s.yaml --plot p.png", "no file says how long requests took"),
        ("import f", "Missing option '-o'"),
    ],
)
def test_bad_use(rollcast: CommandLine, words: str, said: str) -> None:
    rollcast.refuses(words.split(), {"f": GOOD}, said, 2)


def test_an_endless_line_in_a_log_is_one_damaged_line(rollcast: CommandLine) -> None:
    good = (
        "May  1 00:00:00 lb haproxy[1]: 10.0.1.2:333 [01/May/2024:00:00:0%d.000] in web/s1 0/0/1/9/10 "
        '200 1 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"\n'
    )
    text = "".join(good % (k % 10) for k in range(60))
    rollcast.write("f", text + "x:1 [" * 100_000 + "\n" + good % 9)
    answer = rollcast("import", "f", "-o", "s.yaml")
    assert answer.code == 0, answer.err
    assert "1 of 62 lines of f cannot be read and are left out; the first is line 61" in answer.err


def test_few_damaged_lines_are_told(rollcast: CommandLine) -> None:
    rollcast.write("f", GOOD + "broken\n" + "y" * 200_000 + "\n")
    answer = rollcast("import", "f", "-o", "s.yaml")
    assert answer.code == 0
    assert (
        "2 of 102 lines of f cannot be read and are left out; the first is line 101" in answer.err
    )
