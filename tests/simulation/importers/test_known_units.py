"""A duration or a count is used only where its name and unit are known; otherwise the file is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.base.errors import BadInput
from simulation.importers.draft import ScenarioDraft
from simulation.importers.findings import UNNAMED, Durations, Findings
from simulation.importers.kinds import read_files
from simulation.importers.names import duration_unit_s, is_count, is_time, rate_period_s
from simulation.importers.together import draft_scenario
from tests.helpers.paths import FIELD
from tests.helpers.request_logs import BEGIN, CLF, FORMATS, clf, draw, write


def findings(path: Path) -> Findings:
    (found,) = read_files([path])
    return found


def only_service(found: Findings) -> tuple[float, float]:
    """Return the mean service time in seconds and the rate per second of the only service, or NaN."""
    (one,) = found.services.values()
    mean_s = np.nan
    if one.service_time is not None:
        assert isinstance(one.service_time.value, Durations)
        mean_s = float(one.service_time.value.samples_s.mean())
    return mean_s, one.arrivals.mean_rps if one.arrivals else np.nan


@pytest.mark.parametrize(
    ("path", "mean_s", "rate_rps"),
    [
        ("loadtest/g_jmeter.jtl", 0.0701, 17.6),
        ("loadtest/g_hey.csv", 0.0706, 17.8),
        ("loadtest/g_vegeta1.csv", 0.0775, 1.0),
        ("logs/g_rt_uct_uht_urt.log", 0.0701, 16.0),
        ("logs/g_iso.log", 0.0701, 16.0),
        ("logs/g_traefikclf.log", 0.0746, 16.0),
        ("logs/g_haproxy_ssl.log", 0.0693, 18.25),
        ("logs/caddy_mixed.log", 0.1067, 4.1),
        ("metrics/datadog.csv", np.nan, 231.8),
        ("metrics/prom_hist_counter.json", 0.0891, 218.1),
        ("metrics/prom_hist_ms.json", 0.0891, 218.1),
    ],
)
def test_a_unit_that_a_format_states_is_taken(path: str, mean_s: float, rate_rps: float) -> None:
    """The expected figures were counted with awk, from answers below 499; those of buckets from their middles."""
    assert only_service(findings(FIELD / path)) == pytest.approx(
        (mean_s, rate_rps), rel=0.03, nan_ok=True
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("logs/g_alb.log", "Application Load Balancer, which is not read: awk "),
        ("logs/g_iis.log", "IIS in the W3C format, which is not read: awk "),
        ("logs/g_envoytext.log", "Envoy (its default format), which is not read: awk "),
        ("logs/g_apachems.log", "without a name that may be times: 1 = 18: name the duration "),
        ("logs/docker_json_file.log", "Docker's json-file format around each line, which is not "),
        (
            "logs/json_app_not_access.log",
            "no line of it is a request: one needs a time (time, timestamp, msec, ts) and a status "
            "(status, response_code), or a method and a path (method, uri), and both where it has a "
            'message; found: level = "info"; timestamp = 1715709600.624; msg = "cache refresh": ',
        ),
        ("logs/zero-division.log", "holds 2 requests: a rate needs at least 20; import a longer"),
        ("logs/rt_uct_uht_urt_min.log", "holds 12 requests: a rate needs at least 20"),
        ("loadtest/k6min.csv", "holds 2 requests: a rate needs at least 20"),
        ("loadtest/g_locust_stats_history.csv", "Locust's history of statistics, which is not "),
        ("metrics/cw_metricdata.json", "CloudWatch's get-metric-data, which is not read: if the "),
        (
            "metrics/grafana_inspect_raw.csv",
            "found: Time = 1715709600000, 1715709660000; 2xx = 200.0000, 202.6168; 5xx = 0.2, 0.2: "
            "name what each column is and drop the rest: time (dates, or time_s), and requests",
        ),
    ],
)
def test_a_unit_that_no_format_states_is_refused(path: str, said: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read_files([FIELD / path])
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


ADVISED = {
    "logs/g_alb.log": (0.0723, 16.0),
    "logs/g_iis.log": (0.0715, 16.0),
    "logs/g_envoytext.log": (0.0705, 16.0),
    "logs/g_apachems.log": (0.0773, 16.0),
    "logs/docker_json_file.log": (0.075, 4.17),
    "loadtest/g_locust_stats_history.csv": (np.nan, 20.0),
    "metrics/cw_metricdata.json": (np.nan, 231.8),
}


@pytest.mark.parametrize("path", list(ADVISED))
def test_the_command_that_a_refusal_names_makes_the_file_readable(
    tmp_path: Path, path: str
) -> None:
    """A shell runs the command exactly as the message has it."""
    source = shutil.copy(FIELD / path, tmp_path)
    with pytest.raises(BadInput) as refusal:
        read_files([Path(source)])
    text = str(refusal.value)
    begins = [text.rindex(word) for word in ("awk ", "jq -", "sed -") if word in text]
    tool = text[begins[0] :].split(maxsplit=1)[0]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed here")
    command = text[begins[0] :].partition("; docs/")[0].partition(" (its ")[0]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, timeout=60)
    (made,) = set(tmp_path.iterdir()) - {Path(source)}
    assert only_service(findings(made)) == pytest.approx(ADVISED[path], rel=0.08, nan_ok=True)


@pytest.mark.parametrize("name", list(FORMATS))
@given(rate_rps=st.floats(5, 40), mean_s=st.floats(0.03, 0.5), seed=st.integers(0, 2**31))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_known_service_times_are_recovered(
    tmp_path: Path, name: str, rate_rps: float, mean_s: float, seed: int
) -> None:
    """The mean is within five standard errors, counted for a quarter of the durations (low load)."""
    times_s, upstream_s = draw(rate_rps, mean_s, 300, seed)
    path = tmp_path / "source"
    path.write_text(write(name, times_s, upstream_s))
    measured_s, measured_rps = only_service(findings(path))
    noise = 5 / np.sqrt(len(times_s) / 4)
    assert measured_s == pytest.approx(mean_s, rel=noise, abs=1e-3)
    assert measured_rps == pytest.approx(rate_rps, rel=5 / np.sqrt(rate_rps * 240))


def combined(ending: str, count: int = 200) -> str:
    """Return lines of four requests per second; ``{n}`` in the ending is a number that changes."""
    lines = [CLF.format(when=clf(k / 4)) + ending.format(n=k % 7) for k in range(count)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("ending", "fields"),
    [
        pytest.param(" 1{n}", "1 = 10", id="Apache's %{ms}T, or %T"),
        pytest.param(" 38{n} 112{n}", "1 = 380, 2 = 1120", id="combinedio"),
        pytest.param(" 25{n}000 412", "1 = 250000, 2 = 412", id="%D and another number"),
        pytest.param(" 70{n}", "1 = 700", id="microseconds or milliseconds"),
        pytest.param(" 0.01{n} 0.200", "1 = 0.010, 2 = 0.200", id="nginx' times in another order"),
        pytest.param(" 0.20{n} 0.001", "1 = 0.200, 2 = 0.001", id="perhaps the connect time"),
        pytest.param(" 0.20{n} 0.001 0.190", "1 = 0.200, 2 = 0.001, 3 = 0.190", id="three times"),
        pytest.param(
            " 0.20{n} 0.190 0.180 0.001", "1 = 0.200, 2 = 0.190, 3 =", id="four in no known order"
        ),
        pytest.param(" 1715709600.{n}00", "1 = 1715709600.000", id="$msec"),
        pytest.param(" took=1{n}", "1 = took=10", id="a name without a unit"),
        pytest.param(" resp_time=0.30{n}", "1 = resp_time=0.300", id="whose time, is open"),
        pytest.param(" 12.{n}", "1 = 12.0", id="a decimal that is not nginx'"),
    ],
)
def test_fields_without_a_known_name_and_unit_are_refused(
    tmp_path: Path, ending: str, fields: str
) -> None:
    path = tmp_path / "access.log"
    path.write_text(combined(ending))
    with pytest.raises(BadInput) as refusal:
        read_files([path])
    assert f"fields without a name that may be times: {fields}" in str(refusal.value)


def test_microseconds_are_told_from_milliseconds_by_the_order_of_lines(tmp_path: Path) -> None:
    """Apache writes a line at the end and dates it by the begin, so requests of 20 s are out of order."""
    rng = np.random.default_rng(3)
    times_s = np.sort(rng.uniform(0, 600, 2000))
    took_s = rng.uniform(5, 35, 2000)
    order = np.argsort(times_s + took_s)
    slow = tmp_path / "slow.log"
    slow.write_text("".join(
        f"{CLF.format(when=clf(times_s[k]))} {1e3 * took_s[k]:.0f}\n" for k in order
    ))  # fmt: skip
    with pytest.raises(BadInput, match="fields without a name that may be times"):
        read_files([slow])
    fast = tmp_path / "fast.log"
    fast.write_text("".join(
        f"{CLF.format(when=clf(times_s[k]))} {1e3 * took_s[k]:.0f}\n" for k in range(2000)
    ))  # fmt: skip
    found = findings(fast)
    assert only_service(found)[0] == pytest.approx(0.02, rel=0.1)
    assert "assumed: the one whole number is %D, in microseconds" in " ".join(found.notes)


def test_a_number_of_bytes_is_no_time(tmp_path: Path) -> None:
    lines = [
        f'10.0.0.1 - - [{clf(k / 4)}] "GET / HTTP/1.1" 200 {20_000 + k} "-" "x" {20_300 + k}'
        for k in range(200)
    ]
    path = tmp_path / "bytes.log"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match="may be times: 1 = 20300"):
        read_files([path])


def json_lines(fields: dict[str, object], count: int = 100) -> str:
    return "".join(
        json.dumps({"time": (BEGIN + timedelta(seconds=k)).isoformat()} | fields) + "\n"
        for k in range(count)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"level": "info", "msg": "cache refresh"},
        {"level": "info", "msg": "called the upstream", "status": 200},
        {"level": "info", "message": "job done", "status": "ok"},
        {"logger": "tls", "msg": "storage cleaning happened"},
        {"logger": "http.log.error", "msg": "dial tcp", "status": 502, "request": {"method": "GET"}}
        | {"duration": 0.2},
        {"action": "BLOCK", "httpRequest": {"clientIp": "198.51.100.7", "uri": "/"}},
        {"kind": "Event", "verb": "get", "requestURI": "/api", "responseStatus": {"code": 200}},
        {"status": "active", "user": "a"},
        {"status": True},
        {"status": 7, "count": 3},
        {"method": "GET"},
    ],
    ids=lambda fields: str(next(reversed(fields))),
)
def test_lines_that_are_no_requests_are_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    path = tmp_path / "app.log"
    path.write_text(json_lines(fields))
    with pytest.raises(BadInput, match=r"no line of it is a request: one needs a time .*; found: "):
        read_files([path])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": 200, "responseTime": 84}, "responseTime = 84: the name does not say in which"),
        ({"status": 200, "latency": 0.084}, "latency = 0.084: the name does not say in which"),
        ({"status": 200, "duration": 12}, "duration = 12: the name does not say in which unit"),
        ({"status": 200, "request_time": 84}, "request_time = 84: the name does not say in which"),
        (
            {"status": 200, "logger": "http.log.access", "duration": 84},
            "duration = 84: the name does not say in which unit",
        ),
    ],
)
def test_a_duration_without_a_unit_is_refused(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    path = tmp_path / "access.log"
    path.write_text(json_lines(fields))
    with pytest.raises(BadInput) as refusal:
        read_files([path])
    assert said in str(refusal.value)
    assert "found: time = " in str(refusal.value)


def test_other_lines_of_a_mixed_log_are_counted_in_a_note() -> None:
    found = findings(FIELD / "logs/caddy_mixed.log")
    assert "50 of 100 lines of caddy_mixed.log are no requests and are not counted" in (
        " ".join(found.notes)
    )
    found = findings(FIELD / "logs/g_haproxy_ssl.log")
    assert "7 of 80 lines of g_haproxy_ssl.log are no requests and are not counted" in (
        " ".join(found.notes)
    )


ROWS = ((0, "84"), (60, "91"), (120, "77"), (180, "80"), (240, "81"), (300, "79"))


def table(header: str, irregular: bool = False) -> str:
    extra = (0.0, 0.7, 0.1, 0.9, 0.3, 0.5) if irregular else (0.0,) * 6
    rows = [
        f"{(BEGIN + timedelta(seconds=at + more)).isoformat()},{value}"
        for (at, value), more in zip(ROWS, extra, strict=True)
    ]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(
            (table(f"time,{name}", irregular=True), f"{name}: the name does not say in which unit")
            for name in ("elapsed", "latency", "responseTime", "duration", "request_time")
        ),
        *(
            (table(f"time,{name}"), "no column is known by its name and unit")
            for name in (
                *("value", "User Count", "2xx", "total", "n", "error_rate", "hit_rate", "p99"),
                *("p99_latency_ms", "avg_duration_ms", "active_users", "Total Request Count"),
                *("p99:trace.http.request{service:web}", "sum:net.bytes_rcvd{*}.as_rate()"),
            )
        ),
        (table("time,latency_ms"), "its rows are evenly spaced: means of many requests"),
        ("\n".join(f"{k},{k * k}" for k in range(20)), "has no header; found: column 1 = 0, 1; "),
        ("time,requests,rps\n0,1,2\n60,1,2\n", "requests and rps may each be the requests"),
        ("t,rate\n0,5\n60,6\n120,7\n", "no column is known by its name and unit"),
        ("time,hits\n0,5\n60,6\n120,7\n", "time: neither dates nor a unit: seconds are named time_s"),
        ("time_s,took_ms,latency_ms\n0,1,1\n1,1,1\n", "took_ms and latency_ms may each be the dur"),
        ("time,requests\n0,0\n60,0\n120,0\n", "requests: is 0 in every row"),
        ("time,requests\n0,5\n0,6\n60,5\n60,6\n", "several rows for one time"),
        ("time,requests\n0,5\n1,6\n61,5\n64,6\n", "its rows are not evenly spaced"),
    ],
)  # fmt: skip
def test_tables_that_name_no_unit_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        read_files([path])
    assert said in str(refusal.value)


def answer(*series: tuple[dict[str, str], list[float]]) -> str:
    result = [
        {"metric": labels, "values": [[1_714_521_600 + 60 * k, str(v)] for k, v in enumerate(row)]}
        for labels, row in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


GROWING = [60.0 * k for k in range(6)]
BUCKETS = ("0.1", "0.5", "+Inf")


@pytest.mark.parametrize(
    ("series", "said"),
    [
        pytest.param([({}, GROWING)], "the metric's name is not in the answer", id="rate()"),
        pytest.param(
            [({"pod": "a"}, GROWING)], "found: {pod=a} = 0, 60: query a counter", id="increase()"
        ),
        pytest.param(
            [({"le": le}, GROWING) for le in BUCKETS], "name is not in the answer", id="rate(_bucket)"
        ),
        pytest.param(
            [({"quantile": q}, [0.1] * 6) for q in ("0.5", "0.9")], "name is not in the", id="quantile"
        ),
        *(
            pytest.param(
                [({"__name__": name, "le": le}, GROWING) for le in BUCKETS],
                f"{name}: the name does not say that it is how long requests took",
                id=name,
            )
            for name in (
                "http_request_duration_bucket", "envoy_cluster_upstream_rq_time_bucket",
                "go_gc_duration_seconds_bucket", "http_response_size_bytes_bucket",
            )
        ),
        *(
            pytest.param(
                [({"__name__": name}, GROWING)],
                f"{name}: the name does not say that it counts requests",
                id=name,
            )
            for name in (
                "container_cpu_usage_seconds_total", "http_response_bytes_total", "error_rate",
                "http_requests_errors_total", "kube_pod_container_resource_requests",
                "cache_hit_rate", "go_gc_duration_seconds_count", "up",
            )
        ),
        pytest.param(
            [({"__name__": "http_requests"}, [5.0, 3.0, 6.0, 2.0, 7.0, 1.0])],
            "falls in 3 of 5 steps, which no counter does",
            id="a gauge",
        ),
        pytest.param(
            [({"__name__": "a_requests_total"}, GROWING), ({"__name__": "b_requests_total"}, GROWING)],
            "holds several metrics, a_requests_total, b_requests_total: query one",
            id="two metrics",
        ),
    ],
)  # fmt: skip
def test_answers_whose_meaning_is_not_in_a_name_are_refused(
    tmp_path: Path, series: list[tuple[dict[str, str], list[float]]], said: str
) -> None:
    path = tmp_path / "answer.json"
    path.write_text(answer(*series))
    with pytest.raises(BadInput) as refusal:
        read_files([path])
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "unit_s"),
    [
        ("duration_ms", 1e-3), ("Latency (ms)", 1e-3), ("responseTimeMs", 1e-3), ("took_us", 1e-6),
        ("http_request_duration_seconds", 1.0), ("elapsed_ns", 1e-9), ("service_time_s", 1.0),
        ("elapsed", None), ("latency", None), ("responseTime", None), ("p99_latency_ms", None),
        ("connect_time_ms", None), ("idle_ms", None), ("avg_response_time_ms", None), ("ms", None),
    ],
)  # fmt: skip
def test_units_of_durations_by_name(name: str, unit_s: float | None) -> None:
    assert duration_unit_s(name) == unit_s


@pytest.mark.parametrize(
    ("name", "period_s"),
    [
        ("rps", 1.0), ("requests_per_second", 1.0), ("Requests/s", 1.0), ("req/s", 1.0),
        ("requests/min", 60.0), ("rpm", 60.0), ("sum:http.requests{a:b}.as_rate()", 1.0),
        ("rate", None), ("error_rate", None), ("Failures/s", None), ("bytes/s", None),
        ("p99_rps", None), ("requests", None), ("sum:http.errors{a:b}.as_rate()", None),
    ],
)  # fmt: skip
def test_periods_of_rates_by_name(name: str, period_s: float | None) -> None:
    assert rate_period_s(name) == period_s


def test_counts_and_times_by_name() -> None:
    counts = ("requests", "http_requests", "request_count", "hits", "Count", "calls")
    assert all(is_count(name) for name in (*counts, "sum:web.hits{*}.as_count()"))
    others = ("user_count", "total_requests", "failed_requests", "value", "status-code", "request")
    assert not any(is_count(name) for name in others[:-1])
    times = ("time", "timestamp", "start_time", "end_timestamp", "TIMESTAMP", "time_s", "second")
    assert all(is_time(name) for name in times)
    assert not any(is_time(name) for name in ("request_time", "response-time", "IdleTime", "ms"))


def draft_of(path: Path) -> ScenarioDraft:
    return draft_scenario([path], None, "x")


def test_few_durations_are_their_own_mean_and_spread(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("duration_ms\n100\n200\n300\n400\n500\n")
    draft = draft_of(path)
    assert draft.choices == {}
    assert "service_time: {mean: 300ms, cv: 0.4714}" in draft.text
    assert "measured: 5 durations in few.csv: their mean and spread; assumed: lognormal" in (
        " ".join(draft.text.replace("#", " ").split())
    )


def test_requests_at_two_times_far_apart_are_refused(tmp_path: Path) -> None:
    lines = [CLF.format(when=clf(at)) for at in (0.0, 900.0) for _ in range(100)]
    path = tmp_path / "two.log"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match="all 200 requests lie in the first and the last of"):
        draft_of(path)


def test_logs_of_two_meanings_are_not_mixed(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(combined(" 0.300"))
    other.write_text(combined(" 0.300 0.250"))
    with pytest.raises(BadInput, match="durations of two meanings; import one of the two"):
        read_files([one, other])


def test_a_datadog_rate_is_a_second_and_what_is_not_taken_is_told() -> None:
    found = findings(FIELD / "metrics/datadog.csv")
    arrivals = found.services[UNNAMED].arrivals
    assert arrivals is not None
    assert arrivals.series is not None
    assert arrivals.series.counts[0] == pytest.approx(200.0 * 60)
    assert "not taken: p99:trace.http.request{service:web}" in " ".join(found.notes)


def test_an_advised_command_runs_where_the_file_was_named(tmp_path: Path) -> None:
    """The command has the path as it was given, quoted for a shell."""
    path = tmp_path / "my logs" / "alb.log"
    path.parent.mkdir()
    shutil.copy(FIELD / "logs/g_alb.log", path)
    with pytest.raises(BadInput) as refusal:
        findings(path)
    command = re.search(r"awk .* > requests\.csv", str(refusal.value))
    assert command is not None
    subprocess.run(["sh", "-c", command[0]], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "requests.csv").read_text().startswith("end_time,duration_s\n")
