"""The findings from each kind of source: a table of cases for every format."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executor.base.errors import BadInput
from simulation.importers.combine import combine
from simulation.importers.draft import draft
from simulation.importers.findings import UNNAMED, Durations, Findings
from simulation.importers.kinds import read_files
from simulation.importers.readers.manifest import sleep_s

MIDNIGHT = datetime(2024, 5, 1, tzinfo=UTC)
COMBINED = '10.0.0.1 - - [{when:%d/%b/%Y:%H:%M:%S +0000}] "GET / HTTP/1.1" {status} 12 "-" "curl"'
SIX_MINUTES = [(k * 0.5, 200) for k in range(720)]
"""Lines of two requests per second."""


def log(ending: str, status: int = 200) -> str:
    lines = []
    for offset_s, _ in SIX_MINUTES:
        when = MIDNIGHT + timedelta(seconds=offset_s)
        lines.append(COMBINED.format(when=when, status=status) + ending)
    return "\n".join(lines) + "\n"


def findings(folder: Path, text: str, name: str = "source") -> Findings:
    path = folder / name
    path.write_text(text)
    (found,) = read_files([path])
    return found


INGRESS = " 120 0.300 [shop-web-80] [] 10.0.0.7:8080 12 0.250 200 abc"


@pytest.mark.parametrize(
    ("ending", "took_s", "service", "said"),
    [
        pytest.param("", None, UNNAMED, "does not say how long", id="combined"),
        pytest.param(" 0.300", 0.3, UNNAMED, "$request_time", id="nginx request time"),
        pytest.param(" 0.300 0.250", 0.25, UNNAMED, "$upstream", id="nginx upstream time"),
        pytest.param(' "0.300" "0.250"', 0.25, UNNAMED, "$upstream", id="quoted"),
        pytest.param(
            ' "-" 0.300 0.010, 0.250', 0.25, UNNAMED, "$upstream", id="forwarded, retried"
        ),
        pytest.param(' rt=0.300 uct="0.001" urt="0.250"', 0.25, UNNAMED, "$upstream", id="named"),
        pytest.param(" 250000", 0.25, UNNAMED, "%D", id="Apache's microseconds"),
        pytest.param(" duration_us=250000", 0.25, UNNAMED, "request_time", id="named with unit"),
        pytest.param(' "-"', None, UNNAMED, "does not say how long", id="forwarded for nobody"),
        pytest.param(INGRESS, 0.25, "shop-web-80", "$upstream", id="ingress-nginx"),
    ],
)
def test_access_logs(
    tmp_path: Path, ending: str, took_s: float | None, service: str, said: str
) -> None:
    found = findings(tmp_path, log(ending))
    assert found.kind == "access log"
    assert list(found.services) == [service]
    one = found.services[service]
    assert one.arrivals is not None
    series = one.arrivals.series
    assert series is not None
    assert series.step_s == 60
    assert series.counts.tolist() == [120] * len(series.counts)
    assert one.arrivals.mean_rps == 2.0
    assert one.arrivals.basis.startswith("measured: 720 requests in source, from 2024-05-01 00:0")
    if took_s is None:
        assert one.service_time is None
        assert said in " ".join(found.notes)
    else:
        assert one.service_time is not None
        durations = one.service_time.value
        assert isinstance(durations, Durations)
        assert durations.samples_s.tolist() == [took_s] * len(durations.samples_s)
        assert said in durations.basis
        assert durations.caveat.startswith("assumed: ")


def test_durations_of_failed_requests_are_left_out(tmp_path: Path) -> None:
    text = log(" 0.300", 200) + log(" 9.000", 503)
    found = findings(tmp_path, text)
    time = found.services[UNNAMED].service_time
    assert time is not None
    assert set(time.value.samples_s.tolist()) == {0.3}
    assert "720 of 1,440 requests in source failed (50.00 %)" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("fields", "took_s"),
    [
        (
            {"msec": "{epoch}", "status": "200", "request_time": "0.300"}
            | {"upstream_response_time": "0.010, 0.250"},
            0.25,
        ),
        ({"time_iso8601": "{iso}", "request": "GET / HTTP/1.1", "request_time": "0.300"}, 0.3),
        (
            {"ts": "{number}", "logger": "http.log.access.log0", "msg": "handled request"}
            | {"duration": 0.3, "status": 200},
            0.3,
        ),
        (
            {"StartUTC": "{iso}", "DownstreamStatus": 200}
            | {"Duration": 300_000_000, "OriginDuration": 250_000_000},
            0.25,
        ),
        ({"start_time": "{iso}", "duration": 300, "response_code": 200}, 0.3),
        ({"time": "{iso}", "method": "GET", "path": "/", "msg": "done", "statusCode": 200}, None),
        ({"time": "{iso}", "status": 200, "responseTimeMs": 300}, 0.3),
        ({"@timestamp": "{iso}", "status": 200}, None),
    ],
    ids=["nginx msec", "nginx iso", "Caddy", "Traefik", "Envoy", "a message", "unit", "no times"],
)
def test_access_logs_in_json(
    tmp_path: Path, fields: dict[str, object], took_s: float | None
) -> None:
    lines = []
    for offset_s, _ in SIX_MINUTES:
        when = MIDNIGHT + timedelta(seconds=offset_s)
        put = {"{epoch}": f"{when.timestamp():.3f}", "{iso}": when.isoformat()}
        line = {key: put.get(str(value), value) for key, value in fields.items()}
        line |= {"ts": when.timestamp()} if "ts" in fields else {}
        lines.append(json.dumps(line))
    found = findings(tmp_path, "\n".join(lines))
    one = found.services[UNNAMED]
    assert one.arrivals is not None
    assert one.arrivals.mean_rps == pytest.approx(2.0)
    if took_s is None:
        assert one.service_time is None
    else:
        assert one.service_time is not None
        assert np.allclose(one.service_time.value.samples_s, took_s)


def haproxy_line(offset_s: float, where: str = "web/s1", timers: str = "10/0/5/95/110") -> str:
    when = MIDNIGHT + timedelta(seconds=offset_s)
    date = f"{when:%d/%b/%Y:%H:%M:%S}.{when.microsecond // 1000:03d}"
    return (
        f"May  1 00:00:00 lb haproxy[14389]: 10.0.1.2:33317 [{date}] http-in {where} {timers} "
        '200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"'
    )


def test_haproxy_logs_separate_waiting_from_service(tmp_path: Path) -> None:
    lines = [haproxy_line(k * 0.5, f"web/s{k % 2 + 1}", "10/40/5/95/150") for k in range(720)]
    lines += [haproxy_line(k * 2.0, "api/a1", "0/0/1/19/+20") for k in range(180)]
    lines += [haproxy_line(k * 2.0, "api/<NOSRV>", "0/-1/-1/-1/3") for k in range(180)]
    found = findings(tmp_path, "\n".join(lines))
    assert found.kind == "HAProxy log"
    web, api = found.services["web"], found.services["api"]
    assert web.service_time is not None
    assert np.allclose(web.service_time.value.samples_s, 0.1)  # 150 − 10 − 40 ms
    assert web.service["instances"].value == ["s1", "s2"]
    assert web.service["slots"].value == 1
    assert web.arrivals is not None
    assert web.arrivals.mean_rps == pytest.approx(2.0)
    assert api.arrivals is not None
    assert api.arrivals.mean_rps == pytest.approx(1.0)
    assert api.service_time is None  # logged as soon as possible, or by nobody
    assert api.service["instances"].value == ["a1"]
    note = found.notes[-1]
    assert "720 of 1,080 requests in source waited in HAProxy's queue (Tw), at most 0.04 s" in note
    assert "180 reached no server" in note


STAT = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,act,bck,chkdown,lastchg,type,"
    "rate_max,qtime,rtime,algo\n"
    "in,FRONTEND,,,1,2,100,999,OPEN,,,,,,0,9,,,\n"
    "web,s1,0,0,0,9,8,500,UP,1,1,0,0,1000,2,5,0,30,\n"
    "web,s2,0,0,0,9,8,500,UP,1,1,0,0,1000,2,5,0,50,\n"
    "web,s3,0,0,0,0,8,0,UP,1,0,1,0,1000,2,0,0,0,\n"
    "web,BACKEND,0,0,0,9,100,1000,UP,2,2,1,{downs},1000,1,7,3,40,leastconn\n"
)


@pytest.mark.parametrize(("downs", "mean_rps"), [(0, 1.0), (2, None)])
def test_show_stat(tmp_path: Path, downs: int, mean_rps: float | None) -> None:
    """A server that was down has reset its counter at an unknown time, so it gives no rate."""
    found = findings(tmp_path, STAT.format(downs=downs))
    assert list(found.services) == ["web"]
    one = found.services["web"]
    assert (one.arrivals.mean_rps if one.arrivals else None) == mean_rps
    assert one.service["instances"].value == ["s1", "s2"]
    assert one.service["slots"].value == 8
    assert one.service["balancer.policy"].value == "least_connections"
    assert one.service_time is not None
    assert one.service_time.value == {"mean": "40ms", "cv": 1}
    assert found.notes == [
        "web: s3 is a backup in source, left out",
        "web: the last 1,024 requests in source waited 3 ms in the mean",
    ]


def snapshot(k: int, requests: int) -> str:
    peer = {
        "server": "10.0.0.1:80", "backup": False, "active": k % 3, "requests": requests,
        "responses": {"5xx": k}, "response_time": 20,
    }  # fmt: skip
    stamp = 1_714_521_600_000 + 5000 * k
    return json.dumps({"timestamp": stamp, "upstreams": {"web": {"peers": [peer]}}})


def test_status_snapshots_are_counters(tmp_path: Path) -> None:
    """Twelve requests per second; a restart in the middle is a gap."""
    counts = [60 * k for k in range(121)]
    restarted = counts[:60] + [60 * k for k in range(61)]
    for told, gaps in ((counts, 0), (restarted, 1)):
        lines = "\n".join(snapshot(k, count) for k, count in enumerate(told))
        one = findings(tmp_path, lines).services["web"]
        assert one.arrivals is not None
        series = one.arrivals.series
        assert series is not None
        assert series.step_s == 10
        assert series.mean_rps == pytest.approx(12.0)
        assert np.isnan(series.counts).sum() == gaps
        assert "120 were answered 5xx" in one.arrivals.basis
        assert one.service["slots"].value == 2
        assert one.service_time is not None
        assert one.service_time.value == {"mean": "20ms", "cv": 1}


def matrix(*series: tuple[dict[str, str], list[float]]) -> str:
    result = [
        {"metric": metric, "values": [[1_714_521_600 + 60 * k, str(v)] for k, v in enumerate(vs)]}
        for metric, vs in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_prometheus_rates_are_summed(tmp_path: Path) -> None:
    text = matrix(
        ({"__name__": "job:http_requests:rate5m", "pod": "a"}, [1.0, 2.0, 3.0]),
        ({"__name__": "job:http_requests:rate5m", "pod": "b"}, [10.0, 20.0, 30.0]),
    )
    one = findings(tmp_path, text).services[UNNAMED].arrivals
    assert one is not None
    assert one.series is not None
    assert (one.series.counts / one.series.step_s).tolist() == [11.0, 22.0, 33.0]
    assert one.series.first == MIDNIGHT


def test_a_prometheus_counter_is_its_growth(tmp_path: Path) -> None:
    text = matrix(({"__name__": "http_requests_total"}, [100, 700, 60, 120]))
    one = findings(tmp_path, text).services[UNNAMED].arrivals
    assert one is not None
    assert one.series is not None
    assert one.series.counts.tolist() == pytest.approx(
        [600.0, 60.0, 60.0]
    )  # restarted: counts anew


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("http_request_duration_seconds_bucket", ("0.1", "0.2", "1")),
        ("istio_request_duration_milliseconds_bucket", ("100", "200", "1000")),
    ],
)
def test_prometheus_buckets(tmp_path: Path, name: str, bounds: tuple[str, ...]) -> None:
    """Half are within 100 ms, 90 % within 200 ms, all within 1 s; ten requests per second."""
    text = matrix(
        *(
            ({"__name__": name, "le": bound}, [60.0 * rate * k for k in range(5)])
            for bound, rate in zip((*bounds, "+Inf"), (5, 9, 10, 10), strict=True)
        )
    )
    one = findings(tmp_path, text).services[UNNAMED]
    assert one.arrivals is not None
    assert one.arrivals.mean_rps == pytest.approx(10.0)
    assert one.service_time is not None
    samples = one.service_time.value.samples_s
    assert np.quantile(samples, [0.25, 0.5, 0.7, 0.95]) == pytest.approx(
        [0.05, 0.1, 0.15, 0.6], abs=2e-3
    )


@pytest.mark.parametrize(("unit", "scale"), [("seconds", 1.0), ("milliseconds", 1e3)])
def test_prometheus_quantiles(tmp_path: Path, unit: str, scale: float) -> None:
    """p50 50 ms and p99 of a lognormal with sigma 1: 50·e^2.3263 ms."""
    name = f"rpc_duration_{unit}"
    text = matrix(
        ({"__name__": name, "quantile": "0.5"}, [0.05 * scale] * 3),
        ({"__name__": name, "quantile": "0.99"}, [0.5119 * scale] * 3),
    )
    time = findings(tmp_path, text).services[UNNAMED].service_time
    assert time is not None
    assert time.value["mean"] == "82.43ms"  # 50·e^½
    assert time.value["cv"] == pytest.approx(1.311, abs=2e-3)


@pytest.mark.parametrize(
    ("text", "step_s", "rates_rps"),
    [
        ("time,rate\n0,5\n60,6\n120,7\n", 60, [5, 6, 7]),
        ("time,requests\n0,300\n60,360\n120,420\n", 60, [5, 6, 7]),
        (
            "timestamp,requests\n2024-05-01 00:00:00,300\n2024-05-01 00:01:00,360\n"
            "2024-05-01 00:02:00,60\n2024-05-01 00:04:00,420\n",
            60,
            [5, 6, 1, None, 7],
        ),
        ("ts,hits\n1714521600,30\n1714521630,60\n1714521660,30\n", 30, [1, 2, 1]),
        (
            "Time,Requests/min\n1714521600000,60\n1714521630000,120\n1714521660000,60\n",
            30,
            [1, 2, 1],
        ),
    ],
    ids=["rate", "count", "dates with a gap", "since 1970", "a minute"],
)
def test_tables_of_rates(
    tmp_path: Path, text: str, step_s: float, rates_rps: list[float | None]
) -> None:
    one = findings(tmp_path, text).services[UNNAMED].arrivals
    assert one is not None
    assert one.series is not None
    assert one.series.step_s == step_s
    told = [None if np.isnan(v) else v for v in (one.series.counts / step_s).tolist()]
    assert told == rates_rps


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("duration_s\n0.1\n0.2\n0.3\n0.4\n0.5\n", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("Latency (ms)\n100\n200\n300\n400\n500\n", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("duration\n100ms\n200ms\n0.3s\n400ms\n500ms\n", [0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_tables_of_durations(tmp_path: Path, text: str, samples: list[float]) -> None:
    one = findings(tmp_path, text).services[UNNAMED]
    assert one.arrivals is None
    assert one.service_time is not None
    assert one.service_time.value.samples_s.tolist() == pytest.approx(samples)


MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop}}
spec:
  {replicas}
  minReadySeconds: 5
  strategy: {strategy}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec:
      terminationGracePeriodSeconds: 45
      containers:
        - name: web
          lifecycle: {{preStop: {hook}}}
          readinessProbe: {{periodSeconds: 4, initialDelaySeconds: 7, failureThreshold: 2}}
"""
SLEEP = "{sleep: {seconds: 8}}"


@pytest.mark.parametrize(
    ("replicas", "strategy", "hook", "expected"),
    [
        ("replicas: 8", "{}", SLEEP, (8, "25%", "25%", None, "8s")),
        (
            "replicas: 2",
            "{rollingUpdate: {maxSurge: 50%}}",
            '{exec: {command: [sh, -c, "sleep 90"]}}',
            (2, "25%", "50%", 2, "45s"),
        ),
        (
            "replicas: 3",
            "{rollingUpdate: {maxSurge: 0, maxUnavailable: 5}}",
            "{exec: {command: [/wait]}}",
            (3, 3, 0, None, "0s"),
        ),
        ("", "{type: Recreate}", SLEEP, (1, None, None, None, "8s")),
    ],
    ids=["defaults", "none may be missing", "more than the fleet", "recreate"],
)
def test_manifests(
    tmp_path: Path, replicas: str, strategy: str, hook: str, expected: tuple[object, ...]
) -> None:
    text = MANIFEST.format(replicas=replicas, strategy=strategy, hook=hook)
    one = findings(tmp_path, text).services["shop"]
    rollout = {key: told.value for key, told in one.rollout.items()}
    keys = ("window", "surge", "min_healthy", "pre_stop")
    assert (one.service["instances"].value, *map(rollout.get, keys)) == expected
    assert rollout["drain.timeout"] == rollout["stop.grace"] == "45s"
    assert rollout["min_ready"] == "5s"
    assert rollout.get("replacement") == (None if "Recreate" in strategy else "beside")
    assert one.service["workload"].value == {
        "kind": "Deployment", "name": "shop", "container": "web",
    }  # fmt: skip
    check = {"interval": "4s", "timeout": "1s", "rise": 1, "fall": 2}
    assert one.service["balancer.health_check"].value == check
    assert one.service["steps.start"].value == "7s"


@pytest.mark.parametrize(
    ("command", "sleeps_s"),
    [
        (["sleep", "1m"], 60.0),
        (["sleep", 10], 10.0),
        (["/bin/sleep", "1.5"], 1.5),
        (["sh", "-c", "sleep 1m 30s"], 90.0),
        (["/bin/sh", "-c", "sleep 15 && nginx -s quit"], 15.0),
        (["sh", "-c", "nginx -s quit\nsleep 3\n"], 3.0),
        (["bash", "-ec", "(sleep 5); kill 1; sleep 2"], 7.0),
        (["sh", "-c", "sleep $SECONDS_LEFT"], None),
        (["sh", "-c", "sleep 5x"], None),
        (["sh", "-c", "while busy; do sleep 1; done"], None),
        (["sh", "-c", "drained || sleep 20"], None),
        (["sh", "-c", "echo 'never"], None),
        (["/stop.sh"], None),
        ("sleep 5", None),
        ([], None),
    ],
    ids=str,
)
def test_how_long_a_hook_sleeps(command: Any, sleeps_s: float | None) -> None:
    assert sleep_s({"exec": {"command": command}}) == sleeps_s


@pytest.mark.parametrize(("told", "sleeps_s"), [({"seconds": 7}, 7.0), ({"seconds": True}, None)])
def test_a_hook_that_is_a_sleep(told: dict[str, Any], sleeps_s: float | None) -> None:
    assert sleep_s({"sleep": told}) == sleeps_s


def test_a_hook_that_cannot_be_read_is_assumed_and_said(tmp_path: Path) -> None:
    text = MANIFEST.format(replicas="", strategy="{}", hook="{httpGet: {path: /drain}}")
    told = findings(tmp_path, text).services["shop"].rollout["pre_stop"]
    assert told.value == "0s"
    assert told.basis.startswith("assumed: 0s: Deployment shop")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            MANIFEST.format(replicas="", strategy="{type: OnDelete}", hook=SLEEP),
            "shop: strategy.type: OnDelete: must be RollingUpdate or Recreate",
        ),
        (
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n"
            "spec: {replicas: 3, updateStrategy: {type: OnDelete}}\n",
            "db: updateStrategy.type: OnDelete: the controller does not roll it",
        ),
    ],
    ids=["a Deployment of another kind", "a StatefulSet that is not rolled"],
)
def test_a_strategy_that_does_not_roll_is_refused_by_name(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        findings(tmp_path, text)


def test_the_container_that_the_service_sends_to_is_chosen(tmp_path: Path) -> None:
    pod = (
        "{containers: [{name: proxy, ports: [{containerPort: 15001}]}, "
        "{name: app, ports: [{name: http, containerPort: 8080}]}]}"
    )
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: prod}\n"
        f"spec: {{template: {{metadata: {{labels: {{app: shop}}}}, spec: {pod}}}}}\n"
    )
    service = (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop}\n"
        "spec: {selector: {app: shop}, ports: [{port: 80, targetPort: http}]}\n"
    )
    known = findings(tmp_path, text + service)
    assert known.services["shop"].service["workload"].value == {
        "kind": "Deployment", "namespace": "prod", "name": "shop", "container": "app",
    }  # fmt: skip
    unknown = findings(tmp_path, text)
    assert "container" not in unknown.services["shop"].service["workload"].value
    assert any("--container" in note for note in unknown.notes)


def test_an_autoscaler_gives_the_number_of_replicas(tmp_path: Path) -> None:
    scaler = (
        "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: shop}\n"
        "spec: {scaleTargetRef: {name: shop}, minReplicas: 3, maxReplicas: 9}\n"
    )
    text = MANIFEST.format(replicas="", strategy="{}", hook=SLEEP) + scaler
    told = findings(tmp_path, text).services["shop"].service["instances"]
    assert told.value == 3
    assert "(3 to 9)" in told.basis


def read_together(folder: Path, **texts: str) -> list[Findings]:
    paths = []
    for name, text in texts.items():
        paths.append(folder / name)
        paths[-1].write_text(text)
    return read_files(paths)


def test_a_log_and_a_manifest_make_one_service(tmp_path: Path) -> None:
    manifest = MANIFEST.format(replicas="replicas: 4", strategy="{}", hook=SLEEP)
    found = combine(read_together(tmp_path, log=log(" 0.300"), fleet=manifest))
    assert list(found.services) == ["shop"]
    one = found.services["shop"]
    assert one.arrivals is not None
    assert one.service_time is not None
    assert one.service["instances"].value == 4


def test_the_weightier_source_is_taken_and_the_other_named(tmp_path: Path) -> None:
    lines = "\n".join(haproxy_line(k * 0.5) for k in range(720))
    found = combine(read_together(tmp_path, log=lines, stat=STAT.format(downs=0)))
    one = found.services["web"]
    assert one.service["instances"].value == ["s1", "s2"]
    assert one.arrivals is not None
    assert one.arrivals.source == "log"
    assert "traffic is log's; stat has 1/s in the mean" in found.notes
    assert "instances of web is 2 servers by stat; log has 1 servers" in found.notes


def test_two_sources_of_one_weight_contradict(tmp_path: Path) -> None:
    rates = "time,rate\n0,5\n60,6\n120,7\n"
    with pytest.raises(BadInput, match="rates and log: both tell the traffic, 6/s and 2/s"):
        combine(read_together(tmp_path, rates=rates, log=log("")))


def test_rotated_logs_are_one_source(tmp_path: Path) -> None:
    lines = log("").splitlines()
    (found,) = read_together(tmp_path, new="\n".join(lines[400:]), old="\n".join(lines[:400]))
    one = found.services[UNNAMED].arrivals
    assert one is not None
    assert one.basis.startswith("measured: 720 requests in new, old")


def test_one_service_of_several_is_asked_for_by_name(tmp_path: Path) -> None:
    both = "\n".join(
        haproxy_line(k * 0.5, where) for k in range(720) for where in ("web/s1", "api/a1")
    )
    manifest = MANIFEST.format(replicas="replicas: 4", strategy="{}", hook=SLEEP)
    sources = read_together(tmp_path, log=both, fleet=manifest)
    with pytest.raises(BadInput, match="fleet: is about one service, and log knows web, api"):
        combine(sources)
    with pytest.raises(BadInput, match=r"--service wep: log has no such service.*nearest: web"):
        combine(sources, "wep")
    found = combine(sources, "web")
    assert list(found.services) == ["web"]
    assert found.services["web"].service["instances"].value == 4
    assert found.services["web"].arrivals is not None
    assert found.services["web"].arrivals.mean_rps == pytest.approx(2.0)
    assert "assumed: shop in fleet is web" in found.notes


def calibration(**parts: object) -> str:
    """Return what ``rollcast report --calibration`` writes for three instances."""
    whole = {
        "schema": "rollcast.calibration/1",
        "service": "shop",
        "service_time_s": None,
        "poll_s": None,
        "steps_s": {"stop": [0.5, 0.5, 0.5], "deploy": [2.0, 3.0, 4.0], "return": []},
        "drains_s": [1.0, 2.0, 6.0],
        "flags": [],
    }
    return json.dumps(whole | parts, indent=1)


def test_a_calibration_gives_the_durations_of_steps(tmp_path: Path) -> None:
    found = findings(tmp_path, calibration(), "cal.json")
    assert found.kind == "calibration of rollouts"
    assert found.notes == ["the 3 drains in cal.json took 3s in the mean and 6s at most"]
    service = found.services["shop"]
    assert {key: told.value for key, told in service.service.items()} == {
        "steps.stop": "500ms",
        "steps.deploy": {"mean": "3s", "cv": 0.333},
    }
    assert service.service["steps.deploy"].basis == (
        "measured: 3 times in cal.json, from its begin to the next's"
    )
    assert (service.service_time, service.rollout) == (None, {})


def test_a_calibration_of_a_lab_is_read(tmp_path: Path) -> None:
    text = calibration(service_time_s=0.05, poll_s=0.2, flags=["the processor was 80 % busy"])
    found = findings(tmp_path, text, "cal.json")
    service = found.services["shop"]
    assert service.service_time is not None
    assert service.service_time.value == {"mean": "50ms", "cv": 1}
    assert service.rollout["drain.poll"].value == "200ms"
    assert found.notes[-1] == "cal.json: the processor was 80 % busy"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"steps_s": {}}, "steps_s: holds no durations of a step"),
        ({"steps_s": {"stop": [-1]}}, "steps_s.stop: must be a list of seconds, none below 0"),
        ({"drains_s": "long"}, "drains_s: must be a list of seconds, none below 0"),
    ],
)
def test_a_damaged_calibration_is_refused(
    tmp_path: Path, parts: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        findings(tmp_path, calibration(**parts), "cal.json")


def test_measured_steps_are_taken_before_what_is_assumed(tmp_path: Path) -> None:
    (tmp_path / "cal.json").write_text(calibration())
    (tmp_path / "access.log").write_text(log(" 0.300"))
    both = combine(read_files([tmp_path / "cal.json", tmp_path / "access.log"]), "shop")
    text = draft(both, ["cal.json", "access.log"], "shop").text
    assert "deploy: {mean: 3s, cv: 0.333}" in text
    assert "start:" in text  # nothing measured it
    assert draft(both, [], "shop").scenario().services["shop"].steps.deploy.mean_s() == 3.0


RULES_MANIFEST = """apiVersion: apps/v1
kind: {kind}
metadata: {{name: web}}
spec: {{replicas: 3{keys}}}
"""


@pytest.mark.parametrize(
    ("kind", "keys", "rollout"),
    [
        ("Deployment", "", {"on_failure": "budget", "progress_deadline": "600s"}),
        (
            "Deployment",
            ", progressDeadlineSeconds: 120",
            {"on_failure": "budget", "progress_deadline": "120s"},
        ),
        (
            "Rollout",
            ", progressDeadlineAbort: true",
            {"on_failure": "rollback", "progress_deadline": "600s"},
        ),
        ("StatefulSet", "", {"instance_order": "reverse"}),
    ],
)
def test_a_manifest_says_what_its_controller_does_after_a_failure(
    kind: str, keys: str, rollout: dict[str, str], tmp_path: Path
) -> None:
    found = (
        findings(tmp_path, RULES_MANIFEST.format(kind=kind, keys=keys), "web.yaml")
        .services["web"]
        .rollout
    )
    told = {"on_failure", "progress_deadline", "instance_order"} & found.keys()
    assert {key: found[key].value for key in told} == rollout
