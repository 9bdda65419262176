"""Hypothesis strategies for small scenarios that use every key of the scenario file."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import warm_up_of
from tests.helpers.scenarios import SIMPLE

DURATIONS: list[Any] = [
    "0s",
    "1s",
    {"exponential": "500ms"},
    {"mean": "2s", "cv": 0.5},
    {"mean": "500ms", "p99": "2s"},
    {"gamma": {"mean": "1s", "cv": 2}},
    {"weibull": {"mean": "1s", "shape": 0.7}},
    {"empirical": ["100ms", "1s", "3s"]},
    {"shifted": {"by": "500ms", "of": {"mean": "1s", "p99": "3s"}}},
]
SERVICE_TIMES: list[Any] = ["50ms", *DURATIONS[2:]]
STEPS = ("take_out", "stop", "deploy", "verify", "start", "return")
RATES: list[Any] = [
    "40/s",
    {"steps": [["0s", "20/s"], ["5s", "0/s"], ["8s", "60/s"]]},
    {"daily": {"low": "5/s", "high": "30/s", "peak": "12:00"}},
    {"timestamps": [0.125 * k for k in range(-80, 480)]},
    {
        "days": [[["0s", "20/s"], ["5s", "40/s"]], [["0s", "5/s"], ["12h", "30/s"]]],
        "weekday": "tue",
        "known": 5,
    },
    {"days": [[["0s", "20/s"]]], "weekday": "sun", "spread": 0.3, "known": 2},
]


def pick(draw: st.DrawFn, *values: Any) -> Any:
    """Draw one of these values."""
    return draw(st.sampled_from(values))


@st.composite
def clients(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a class's clients: how long they wait, and how they retry."""
    return {
        "client_timeout": pick(draw, "none", "0s", "300ms", "2s"),
        "cancel_on_disconnect": draw(st.booleans()),
        "retries": {
            "attempts": pick(draw, 0, 0, 1, 3, 8),
            "backoff": pick(draw, "0s", "200ms"),
            "factor": pick(draw, 1, 2),
            "jitter": pick(draw, 0, 0.5),
            "budget": pick(draw, "none", "20%"),
            "cut": draw(st.booleans()),
            "demand": pick(draw, "same", "new"),
        },
    }


@st.composite
def reconnections(draw: st.DrawFn) -> Any:
    """Draw how a connection that was cut comes back, if at all."""
    how = {
        "backoff": pick(draw, "0s", "100ms", "1s"),
        "factor": pick(draw, 1, 2),
        "jitter": pick(draw, 0, 0.5),
        "cost": pick(draw, "0s", "5ms", "2s"),
    }
    return pick(draw, how, how, True, False)


@st.composite
def classes(draw: st.DrawFn, services: list[str]) -> dict[str, Any]:
    """Draw one class or two, each with a route; the second may be long-lived connections."""
    route = draw(st.permutations(services))
    first = {"route": route[: draw(st.integers(1, len(route)))], **draw(clients())}
    if draw(st.booleans()):
        return {"page": first}
    other = pick(draw, *services)
    slot = draw(st.booleans())
    life = pick(draw, {"exponential": "4s"}, {"mean": "1m", "cv": 2}, "20s")
    second = {
        "route": [other],
        "service_time": {other: {"mean": "400ms", "cv": 1} if slot else life},
        "holds_slot": slot,
        "reconnects": not slot and draw(reconnections()),
        **draw(clients()),
    }
    return {"page": {"share": "80%", **first}, "other": second}


@st.composite
def balancers(draw: st.DrawFn, first: str) -> dict[str, Any]:
    """Draw a balancer with any policy; with `pull` it has neither checks nor delays."""
    waiting = {
        "queue_limit": pick(draw, "none", 0, 3),
        "queue_timeout": pick(draw, "none", "0s", "400ms"),
    }
    policies = ("round_robin", "least_connections", "random", "power_of_two", "source_hash")
    policy = pick(draw, *policies, "pull")
    if policy == "pull":
        return {"policy": policy, "requeue": draw(st.booleans()), **waiting}
    check = {"interval": "1s", "timeout": pick(draw, "200ms", "1s"), "rise": 2, "fall": 3}
    balance = pick(draw, "request", "request", "connection")
    pins = balance == "connection"
    return {
        "policy": policy,
        "queue": "instance" if pins else pick(draw, "balancer", "instance"),
        "balance": balance,
        "connections": pick(draw, 1, 3, 20, 200),
        "max_age": pick(draw, "none", "500ms", "4s"),
        "close_connections": pick(draw, "stop", "take_out", "never"),
        **waiting,
        "weights": pick(draw, {}, {first: 2.5}),
        "propagation_delay": pick(draw, "0s", "700ms", "5s"),
        "return_delay": pick(draw, "0s", "0s", "400ms", "3s"),
        "health_check": pick(
            draw, "none", check, {**check, "interval": "2s", "rise": 1, "fall": 1}
        ),
        "connect_retries": {
            "attempts": pick(draw, 0, 0, 2),
            "delay": pick(draw, "0s", "300ms"),
            "redispatch": draw(st.booleans()),
        },
        "slow_start": "0s" if pins else pick(draw, "0s", "0s", "3s"),
        "sticky": not pins and draw(st.booleans()),
    }


@st.composite
def fleets(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw one service."""
    count = draw(st.integers(1, 6))
    named = {
        f"{name}-{k}": {"zone": "ab"[k % 2], "slots": k + 1, "speed": 1.5 - k / 8}
        for k in range(count)
    }
    instances = pick(draw, count, list(named), named)
    first = f"{name}-01" if isinstance(instances, int) else f"{name}-0"
    return {
        "instances": instances,
        "slots": draw(st.integers(1, 4)),
        "service_time": pick(draw, *SERVICE_TIMES),
        "zones": draw(st.integers(1, 3)),
        "speed": pick(draw, 1.0, 1.0, 0.5, 2.0),
        "crashes": pick(
            draw,
            "none",
            "none",
            {"mtbf": "15s", "repair": {"exponential": "3s"}},
            {"mtbf": "1h", "repair": "1s"},
        ),
        "balancer": draw(balancers(first)),
        "versions": {
            "old": {
                "service_factor": pick(draw, 1.0, 1.3),
                "error_fraction": pick(draw, 0, 0.1),
            },
            "new": {
                "service_factor": pick(draw, 1.0, 0.5, 3.0),
                "error_fraction": pick(draw, 0, 0.2),
                "cold": {
                    "factor": pick(draw, 1.0, 4.0),
                    **pick(draw, {"decay": "3s"}, {"decay": "10s"}, {"requests": 20}),
                },
                "verify_fails": pick(draw, 0, 0.3),
                "start_fails": pick(draw, 0, 0.3),
            },
        },
        "uncertain": pick(draw, 0, 0, "20%"),
        "steps": {
            **{step: pick(draw, *DURATIONS) for step in STEPS},
            "shared": pick(draw, {}, {step: pick(draw, "0s", "700ms", "2s") for step in STEPS}),
            "correlation": pick(draw, 0, 0, 0.3, 1),
            "uncertain": pick(draw, 0, 0, "30%"),
        },
        "workload": pick(
            draw,
            None,
            {"kind": "Deployment", "namespace": "shop", "name": "app", "container": "app"},
            {"kind": "Rollout", "name": "web", "container": "web"},
            {"kind": "Rollout", "namespace": "prod", "name": "web"},
        ),
    }


@st.composite
def rules(draw: st.DrawFn, count: int, *, may_wait: bool = True) -> dict[str, Any]:
    """Draw the rollout of a fleet of this size, in any strategy that its size allows.

    Args:
        draw: Hypothesis's function.
        count: The number of instances.
        may_wait: Whether drains may wait for as long as requests take.
    """
    strategies = ["rolling", "rolling", "blue_green", "recreate", "expand_migrate_contract"]
    strategy = pick(draw, *strategies, *(["canary"] if count > 1 else []))
    surge = pick(draw, 0, 0, 1, "50%")
    chooses = strategy in ("rolling", "canary", "expand_migrate_contract")
    grows = strategy == "blue_green" or (chooses and surge != 0)
    replacement = None
    if strategy != "blue_green":
        others = ["beside"] if chooses else ["in_place"]
        replacement = pick(draw, None, *(["in_place"] if surge == 0 else []), *others)
    is_beside = replacement == "beside" or (replacement is None and surge != 0)
    slides = {"advance": "sliding", "pause": "0s"} if chooses and is_beside else {}
    most = 0 if strategy == "recreate" else count if grows else count - 1
    shares = ["0%", *(["50%"] if most and count > 1 else []), *(["100%"] if most == count else [])]
    on_failure = pick(draw, "halt", "budget", "continue", "rollback")
    limits = {"error_fraction": pick(draw, "5%", "60%"), "latency_p99": pick(draw, "1s", "1h")}
    return {
        "strategy": strategy,
        "window": draw(st.one_of(st.integers(1, count), st.sampled_from(["25%", "50%", "100%"]))),
        "advance": pick(draw, "sliding", "batch"),
        "surge": surge,
        "replacement": replacement,
        "min_healthy": draw(st.one_of(st.integers(0, most), st.sampled_from(shares))),
        "pause": pick(draw, "0s", "1s"),
        "min_ready": pick(draw, "0s", "2s"),
        "instance_order": pick(draw, "listed", "reverse", "by_zone", "random"),
        "canary": pick(
            draw, [{"share": "25%", "bake": "2s"}], [{"share": 0.1, "bake": "1s", **limits}]
        ),
        "migration": {
            "expand": pick(draw, "0s", "1s"),
            "migrate": pick(draw, "0s", "2s"),
            "contract": pick(draw, "0s", "1s"),
            "contract_before_rollout": draw(st.booleans()),
        },
        "retries": pick(draw, 0, 2),
        "on_failure": on_failure,
        "max_failures": pick(draw, 0, 1, 9, "40%"),
        "stop_when_batch_failed": draw(st.booleans()),
        "progress_deadline": pick(
            draw, *(["none"] if on_failure != "budget" else []), "4s", "8s", "20s"
        ),
        "healthy_deadline": pick(draw, "none", "none", "3s", "6s"),
        "guards": pick(draw, "none", {**limits, "over": pick(draw, "3s", "30s")}),
        "drain": {
            "timeout": pick(draw, "0s", "200ms", "3s"),
            "on_timeout": pick(draw, "cut", "abort", *(["wait"] if may_wait else [])),
            "poll": pick(draw, "0s", "300ms"),
        },
        "pre_stop": pick(draw, "0s", "1s"),
        "stop": {
            "mode": pick(draw, "graceful", "abrupt"),
            "grace": pick(draw, "500ms", "30s"),
        },
    } | slides


@st.composite
def traffics(draw: st.DrawFn, services: list[str]) -> dict[str, Any]:
    """Draw traffic, open or closed, steady or in bursts."""
    rate = pick(draw, *RATES)
    kinds = ["poisson", "bursty", "closed", *(["replay"] if "timestamps" in rate else [])]
    arrivals = pick(draw, *kinds)
    return {
        "rate": rate,
        "arrivals": arrivals,
        "growth": pick(
            draw, "none", *(["20%", "-10%"] if arrivals in ("poisson", "bursty") else [])
        ),
        "uncertain": 0 if arrivals == "replay" or "days" in rate else pick(draw, 0, 0, "10%"),
        "dispersion": pick(draw, 1, 3, 10),
        "clients": {
            "count": draw(st.integers(1, 20)),
            "think_time": pick(draw, {"exponential": "400ms"}, "1s"),
        },
        "sessions": pick(draw, 1, 7, 1000),
        "classes": draw(classes(services)),
    }


@st.composite
def class_limits(draw: st.DrawFn, kinds: dict[str, Any]) -> dict[str, Any]:
    """Draw limits for one class or none; connections have no latency to limit."""
    name = pick(draw, None, *kinds)
    if name is None:
        return {}
    latency = {"latency_p99": "1s"} if kinds[name].get("holds_slot", True) else {}
    return {
        name: {
            "error_fraction": pick(draw, 0, "5%"),
            "failed_requests": pick(draw, 0, 3),
            **latency,
        }
    }


def _count(service: dict[str, Any]) -> int:
    instances = service["instances"]
    return instances if isinstance(instances, int) else len(instances)


def _drains_to_timeout(service: dict[str, Any]) -> bool:
    rule = service["balancer"]
    return bool(rule.get("balance") == "connection" and rule["close_connections"] == "never")


@st.composite
def scenarios(draw: st.DrawFn, *, steady: bool = False, known: bool = False) -> Scenario:
    """Draw a small scenario that may use every key; some are overloaded.

    Args:
        draw: Hypothesis's function.
        steady: Whether the scenario has no rollout.
        known: Whether the fate of every request is known at its arrival, as the fast path requires.
    """
    names = ["app"] if known else ["app", "db", "cache"][: pick(draw, 1, 1, 2, 3)]
    services = {name: draw(fleets(name)) for name in names}
    traffic = draw(traffics(names))
    if known:
        policy = pick(draw, "round_robin", "least_connections", "least_connections")
        services["app"]["balancer"] = {
            "policy": policy,
            "queue": "instance",
            "return_delay": pick(draw, "0s", "400ms", "3s"),
        }
        services["app"]["versions"]["new"]["cold"] = {
            "factor": pick(draw, 1.0, 4.0),
            "decay": pick(draw, "3s", "10s"),
        }
        services["app"]["crashes"] = "none"
        traffic["arrivals"] = pick(draw, "poisson", "bursty")
        for kind in traffic["classes"].values():
            kind["retries"] |= {"budget": "none", "demand": "same"}
            kind["holds_slot"], kind["reconnects"] = True, False
            if len(traffic["classes"]) > 1:
                kind["cancel_on_disconnect"] = False
    ends = "timestamps" in traffic["rate"] and traffic["arrivals"] != "closed"
    data: dict[str, Any] = {
        **SIMPLE,
        "name": pick(draw, "test", "other"),
        "question": pick(draw, "", "Why?"),
        "seed": draw(st.integers(0, 5)),
        "replications": pick(draw, 1, 2),
        "traffic": traffic,
        "services": services,
        "clock": {
            "start": "0s" if ends else pick(draw, "0s", "12:00"),
            "zone": pick(draw, "none", "Europe/Paris"),
            "warm_up": pick(draw, "0s", "3s", "auto"),
            "horizon": "10s" if steady or ends else pick(draw, "auto", "10s"),
        },
        "objectives": {
            "in_runs": pick(draw, 0.5, 0.95),
            "confidence": pick(draw, 0.5, 0.95),
            "error_fraction": pick(draw, 0.01, 0.5),
            "latency_p99": pick(draw, "1s", "10s"),
            "lowest_in_pool": pick(draw, 0, 3),
            "duration": pick(draw, "1s", "1h"),
            "most_instances": pick(draw, 3, 30),
            "failed_instances": pick(draw, 0, 2),
            "cut_connections": pick(draw, "none", 0, 3, "5%"),
            "failed_requests": pick(draw, 0, 20),
            "over": pick(draw, "rollout", "rollout", "7s", "1m"),
            "classes": draw(class_limits(traffic["classes"])),
            **pick(
                draw, {"judge": "absolute"}, {"judge": "rollout", "margin": pick(draw, 0, "10%")}
            ),
        },
    }
    if not steady:
        may_wait = not any(map(_drains_to_timeout, services.values()))
        rule = draw(rules(min(map(_count, services.values())), may_wait=may_wait))
        order = draw(st.permutations(names))
        graphs = [order, {name: order[:k] for k, name in enumerate(order)}]
        freeze = pick(draw, [], [["08:00", "13:00"]])
        data["rollout"] = {**rule, "freeze": freeze, "rounding": "kubernetes"}
        if draw(st.booleans()):
            data["rollout"]["order"] = pick(draw, *graphs)
        for service in services.values():
            if draw(st.booleans()):
                service["rollout"] = draw(
                    rules(_count(service), may_wait=not _drains_to_timeout(service))
                )
    return Scenario.model_validate(data)


MOST_WARM_UP_S = 60.0
"""Maximum warm-up of a bounded scenario: an automatic one may last a day near capacity."""


def bounded(one: Scenario, horizon_s: float = 40.0) -> Scenario:
    """Return the scenario with a horizon, since some scenarios never settle, and a short warm-up."""
    clock = one.clock.model_copy(
        update={
            "horizon": one.clock.horizon or horizon_s,
            "warm_up": min(warm_up_of([one]).given_s, MOST_WARM_UP_S),
        }
    )
    return one.model_copy(update={"clock": clock})
