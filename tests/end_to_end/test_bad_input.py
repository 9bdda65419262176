"""Bad input is refused in one line that names the value, its place, and the rule.

Every row is run as a person types it, and checked for its exit code, one line on standard error, nothing on
standard output, and no new file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from executor.plan.file import plan_text
from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.plans import example_plan

TRACED = SHOP.replace("rate: 40/s", "rate: {trace: evening.csv}")
LOGGED = SHOP.replace("rate: 40/s", "rate: {timestamps: log.csv}\n  arrivals: replay")
CLIENTS = "clients: {count: 50, think_time: {exponential: 1s}}"
ROWS = [f"2024-05-01T18:{minute:02d}:00,2400\n" for minute in range(30)]
HEADER = "time,requests\n"
PLAN = plan_text(example_plan())


def shop(old: str, new: str) -> dict[str, str]:
    """Return the shop with a mistake in it."""
    assert old in SHOP
    return {"shop.yaml": SHOP.replace(old, new)}


def case(
    name: str,
    command: str,
    files: Mapping[str, str | bytes],
    said: str,
    code: int = 2,
) -> object:
    """Return a row: the command, the files that exist, and a part of the error message."""
    return pytest.param(command.split(), files, said, code, id=name)


GOOD = {"shop.yaml": SHOP}
CASES = [
    # the scenario's keys
    case(
        "unknown key",
        "validate shop.yaml",
        shop("window: 2", "windw: 2"),
        "shop.yaml:14: rollout.windw: 2: unknown key (nearest: window)",
    ),
    case(
        "unknown key deep down",
        "validate shop.yaml",
        shop("deploy: 2s", "deplyo: 2s"),
        "shop.yaml:12: services.web.steps.deplyo: 2s: unknown key (nearest: deploy)",
    ),
    case(
        "key of the whole written in a part",
        "validate shop.yaml",
        shop("slots: 2", "replications: 2"),
        "shop.yaml:10: services.web.replications: 2: unknown key (known here: balancer, crashes, "
        "instances, rollout, service_time, slots, speed, steps, uncertain, versions, workload, zones)",
    ),
    case(
        "a surge that is no count",
        "validate shop.yaml",
        shop("window: 2", "surge: half"),
        "shop.yaml:14: rollout.surge: half: must be a count or a whole percentage",
    ),
    case(
        "a misspelt key of a migration",
        "validate shop.yaml",
        shop("window: 2", "migration: {expnd: 1s}"),
        "shop.yaml:14: rollout.migration.expnd: 1s: unknown key (nearest: expand)",
    ),
    case(
        "a strategy without what it needs",
        "validate shop.yaml",
        shop("window: 2", "strategy: canary"),
        "shop.yaml:14: rollout.strategy: canary: needs rollout.canary",
    ),
    case(
        "shares of a canary that do not ascend",
        "validate shop.yaml",
        shop("window: 2", "canary: [{share: 50%, bake: 1s}, {share: 5%, bake: 1s}]"),
        "the shares must ascend, above 0% and below 100%",
    ),
    case(
        "a guard that guards nothing",
        "validate shop.yaml",
        shop("window: 2", "guards: {over: 30s}"),
        "rollout.guards: {over: 30s}: a guard needs error_fraction or latency_p99",
    ),
    case(
        "an order that names no service",
        "validate shop.yaml",
        shop("window: 2", "order: [web, db]"),
        "rollout.order: db: db is no service; there is web",
    ),
    case(
        "services that wait for each other",
        "validate shop.yaml",
        {
            "shop.yaml": SHOP.replace(
                "window: 2", "order: {web: [db], db: [api], api: [web]}"
            ).replace(
                "rate: 40/s\nservices:\n",
                "rate: 40/s\n  classes: {all: {route: [web, api, db]}}\nservices:\n"
                "  db: {instances: 1, service_time: 5ms}\n  api: {instances: 1, service_time: 5ms}\n",
            )
        },
        "rollout.order: must have no cycle: web → api → db → web",
    ),
    case(
        "a service's own window that does not fit",
        "validate shop.yaml",
        shop("    slots: 2\n", "    slots: 2\n    rollout: {window: 9}\n"),
        "services.web.rollout.window: 9: window (9) must not exceed the fleet (6)",
    ),
    case(
        "a fleet that must stay whole where nothing surges",
        "validate shop.yaml",
        shop("window: 2", "min_healthy: 6"),
        "rollout.min_healthy: 6: must be below the fleet (6)",
    ),
    case(
        "an instance with an unknown key",
        "validate shop.yaml",
        shop("instances: 6", "instances: {a: {slot: 2}, b: {}}"),
        "services.web.instances.a.slot: 2: unknown key (nearest: slots)",
    ),
    case(
        "a freeze that is no time of day",
        "validate shop.yaml",
        shop("window: 2", "freeze: [[8, 10]]"),
        "must be two times of day",
    ),
    case(
        "belief where nobody sends",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {policy: pull, sticky: true}"),
        "services.web.balancer: {policy: pull, sticky: true}: with policy pull nobody sends, so "
        "sticky has no meaning",
    ),
    case(
        "a return delay where nobody sends",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {policy: pull, return_delay: 10s}"),
        "services.web.balancer: {policy: pull, return_delay: 10s}: with policy pull nobody sends, so "
        "return_delay has no meaning",
    ),
    case(
        "a warm-up by time and by requests",
        "validate shop.yaml",
        shop("slots: 2", "versions: {new: {cold: {factor: 3, decay: 30s, requests: 150}}}"),
        "services.web.versions.new.cold: {factor: 3, decay: 30s, requests: 150}: needs decay or "
        "requests, not both",
    ),
    case(
        "a warm-up by nothing",
        "validate shop.yaml",
        shop("slots: 2", "versions: {new: {cold: {factor: 3, decay: none}}}"),
        "services.web.versions.new.cold: {factor: 3, decay: none}: needs decay or requests, not both",
    ),
    case(
        "a warm-up that takes no time",
        "validate shop.yaml",
        shop("slots: 2", "versions: {new: {cold: {factor: 3, decay: 0s}}}"),
        "services.web.versions.new.cold.decay: 0s: must be above 0",
    ),
    case(
        "a warm-up by no requests",
        "validate shop.yaml",
        shop("slots: 2", "versions: {new: {cold: {factor: 3, requests: 0}}}"),
        "services.web.versions.new.cold.requests: 0: must be above 0",
    ),
    case(
        "connections whose requests wait at the balancer",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection}"),
        "services.web.balancer: {balance: connection}: balance: connection needs queue: instance "
        "(queue is balancer)",
    ),
    case(
        "sessions beside connections",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection, queue: instance, sticky: true}"),
        "with balance: connection requests stay with their connection, so sticky has no meaning",
    ),
    case(
        "a slow start of connections",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection, queue: instance, slow_start: 9s}"),
        "with balance: connection requests stay with their connection, so slow_start has no meaning",
    ),
    case(
        "connections where nobody sends",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {policy: pull, balance: connection}"),
        "with policy pull nobody sends, so balance has no meaning",
    ),
    case(
        "connections that are old at once",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection, queue: instance, max_age: 0s}"),
        "services.web.balancer.max_age: 0s: must be above 0s, or none",
    ),
    case(
        "no connection",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection, queue: instance, connections: 0}"),
        "services.web.balancer.connections: 0: must be at least 1",
    ),
    case(
        "too many connections",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {balance: connection, queue: instance, connections: 2000000}"),
        "services.web.balancer.connections: 2000000: must be at most 1,048,576",
    ),
    case(
        "connections that are closed at a step that has no such choice",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {queue: instance, close_connections: deploy}"),
        "services.web.balancer.close_connections: deploy: must be",
    ),
    case(
        "a drain that would wait for connections that nobody closes",
        "validate shop.yaml",
        shop(
            "    slots: 2\n",
            "    slots: 2\n    balancer: {balance: connection, queue: instance, "
            "close_connections: never}\n    rollout: {drain: {on_timeout: wait}}\n",
        ),
        "services.web.rollout.drain.on_timeout: wait: must be cut or abort with "
        "close_connections: never, where no drain ends before its timeout",
    ),
    case(
        "a task that cannot go back",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {requeue: true}"),
        "requeue needs policy pull, where cut tasks can go back",
    ),
    case(
        "checks that overlap",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {health_check: {interval: 1s, timeout: 2s}}"),
        "services.web.balancer.health_check: {interval: 1s, timeout: 2s}: timeout (2 s) must not "
        "exceed interval (1 s)",
    ),
    case(
        "misspelt key of a health check",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {health_check: {intervall: 1s}}"),
        "services.web.balancer.health_check.intervall: 1s: unknown key (nearest: interval)",
    ),
    case(
        "a class without a route through several services",
        "validate shop.yaml",
        shop("  web:\n", "  db: {instances: 1, service_time: 5ms}\n  web:\n"),
        "traffic.classes.all.route: is missing; it names the services that are called, of db, web",
    ),
    case(
        "a service time off the route",
        "validate shop.yaml",
        shop(
            "rate: 40/s\nservices:\n",
            "rate: 40/s\n  classes: {all: {route: [web], service_time: {db: 1s}}}\n"
            "services:\n  db: {instances: 1, service_time: 5ms}\n",
        ),
        "traffic.classes.all.service_time.db: is not on the route of all: web",
    ),
    case(
        "a long-lived connection to two services",
        "validate shop.yaml",
        shop(
            "rate: 40/s\nservices:\n",
            "rate: 40/s\n  classes: {all: {route: [web, db], holds_slot: false}}\n"
            "services:\n  db: {instances: 1, service_time: 5ms}\n",
        ),
        "traffic.classes.all.route: [web, db]: must be one service, to which the connection is open",
    ),
    case(
        "misspelt choice",
        "validate shop.yaml",
        shop("slots: 2", "balancer: {policy: least_conections}"),
        "services.web.balancer.policy: least_conections: must be round_robin, least_connections, "
        "random, power_of_two, source_hash or pull (nearest: least_connections)",
    ),
    case(
        "missing key",
        "validate shop.yaml",
        shop("    slots: 2\n    service_time: {mean: 50ms, cv: 1}\n", ""),
        "shop.yaml:8: services.web.service_time: is missing",
    ),
    case(
        "wrong type",
        "validate shop.yaml",
        shop("slots: 2", "slots: two"),
        "shop.yaml:10: services.web.slots: two: must be a whole number",
    ),
    case(
        "wrong type: list for a mapping",
        "validate shop.yaml",
        shop("steps: {deploy: 2s, start: {mean: 1s, cv: 0.3}}", "steps: [deploy]"),
        "shop.yaml:12: services.web.steps: [deploy]: must be a mapping of keys",
    ),
    case(
        "negative duration",
        "validate shop.yaml",
        shop("timeout: 5s", "timeout: -5s"),
        "shop.yaml:15: rollout.drain.timeout: -5s: a duration must not be negative",
    ),
    case(
        "duration without unit",
        "validate shop.yaml",
        shop("timeout: 5s", "timeout: 5"),
        "shop.yaml:15: rollout.drain.timeout: 5: a duration needs a unit, such as 5s",
    ),
    case(
        "share above one",
        "validate shop.yaml",
        shop("error_fraction: 1%", "error_fraction: 101%"),
        "shop.yaml:18: objectives.error_fraction: 101%: a share must lie between 0% and 100%",
    ),
    case(
        "a fraction of connections that is no percentage",
        "validate shop.yaml",
        shop("error_fraction: 1%", "cut_connections: 0.05"),
        "shop.yaml:18: objectives.cut_connections: 0.05: must be a count or a percentage, such as 0 "
        "or 5%",
    ),
    case(
        "fewer connections than none",
        "validate shop.yaml",
        shop("error_fraction: 1%", "cut_connections: -1"),
        "shop.yaml:18: objectives.cut_connections: -1: a count must not be negative",
    ),
    case(
        "more connections than all",
        "validate shop.yaml",
        shop("error_fraction: 1%", "cut_connections: 101%"),
        "shop.yaml:18: objectives.cut_connections: 101%: a share must lie between 0% and 100%",
    ),
    case(
        "stretches that are too short",
        "validate shop.yaml",
        shop("error_fraction: 1%", "over: 500ms"),
        "shop.yaml:18: objectives.over: 0.5s: must be at least 1s",
    ),
    case(
        "objectives over no stretch",
        "validate shop.yaml",
        shop("error_fraction: 1%", "over: window"),
        "shop.yaml:18: objectives.over: window: must be a duration, such as 30s, 150ms, 2m or 1h",
    ),
    case(
        "objectives of a class that does not exist",
        "validate shop.yaml",
        shop("error_fraction: 1%", "classes: {page: {latency_p99: 1s}}"),
        "shop.yaml:18: objectives.classes.page: page: is no class of the traffic; they are all",
    ),
    case(
        "fewer failed requests of a class than none",
        "validate shop.yaml",
        shop("error_fraction: 1%", "classes: {all: {failed_requests: -1}}"),
        "shop.yaml:18: objectives.classes.all.failed_requests: -1: must be at least 0",
    ),
    case(
        "fewer failed requests than none",
        "validate shop.yaml",
        shop("error_fraction: 1%", "failed_requests: -1"),
        "shop.yaml:18: objectives.failed_requests: -1: must be at least 0",
    ),
    case(
        "a margin of more than the limit",
        "validate shop.yaml",
        shop("error_fraction: 1%", "margin: 101%"),
        "shop.yaml:18: objectives.margin: 101%: a share must lie between 0% and 100%",
    ),
    case(
        "a way to judge that does not exist",
        "validate shop.yaml",
        shop("error_fraction: 1%", "judge: absolut"),
        "shop.yaml:18: objectives.judge: absolut: must be rollout or absolute (nearest: absolute)",
    ),
    case(
        "a margin where nothing is compared",
        "validate shop.yaml",
        shop("error_fraction: 1%", "judge: absolute\n  margin: 10%"),
        "shop.yaml:19: objectives.margin: 10%: must not be given with judge: absolute, which compares with "
        "nothing",
    ),
    case(
        "a limit of a class that the traffic does not have",
        "validate shop.yaml",
        {
            "shop.yaml": SHOP.replace(
                "  rate: 40/s\n", "  rate: 40/s\n  classes: {page: {share: 20%}, image: {}}\n"
            ).replace("error_fraction: 1%", "classes: {pag: {latency_p99: 1s}}")
        },
        "shop.yaml:19: objectives.classes.pag: pag: is no class of the traffic; they are page, image "
        "(nearest: page)",
    ),
    case(
        "a limit that a class cannot have",
        "validate shop.yaml",
        shop("error_fraction: 1%", "classes: {all: {duration: 1s}}"),
        "shop.yaml:18: objectives.classes.all.duration: 1s: unknown key (known here: error_fraction, "
        "failed_requests, latency_p99)",
    ),
    case(
        "an objective accepted that the scenario does not have",
        "plan shop.yaml --accept-missing latency_p9 -o plan.json",
        GOOD,
        "--accept-missing latency_p9: must be an objective of the scenario on its requests, which are: "
        "error_fraction, latency_p99 (nearest: latency_p99)",
    ),
    case(
        "window larger than the fleet",
        "validate shop.yaml",
        shop("window: 2", "window: 9"),
        "shop.yaml:14: rollout.window: 9: window (9) must not exceed the fleet (6)",
    ),
    case(
        "no instance may be taken out",
        "validate shop.yaml",
        shop("window: 2", "min_healthy: 6"),
        "shop.yaml:14: rollout.min_healthy: 6: must be below the fleet (6)",
    ),
    case(
        "no such time of day",
        "validate shop.yaml",
        shop("replications: 4", 'clock: {start: "25:99"}'),
        "shop.yaml:4: clock.start: 25:99: must be an offset such as 90m, a time of day",
    ),
    case(
        "date for traffic without dates",
        "validate shop.yaml",
        shop("replications: 4", "clock: {start: 2024-05-01 18:00}"),
        "shop.yaml:4: clock.start: 2024-05-01 18:00:00: a date needs a trace with dates",
    ),
    case(
        "weekday for traffic without dates",
        "validate shop.yaml",
        shop("replications: 4", "clock: {start: tue 22:00}"),
        "shop.yaml:4: clock.start: tue 22:00: a weekday needs a trace with dates",
    ),
    case(
        "no such zone",
        "validate shop.yaml",
        shop("replications: 4", "clock: {zone: Europe/Nowhere}"),
        "shop.yaml:4: clock.zone: Europe/Nowhere: must be a time zone, such as Europe/Paris or UTC",
    ),
    case(
        "growth without its sign",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  growth: 1.2"),
        "shop.yaml:7: traffic.growth: 1.2: must be a percentage, such as 20% or -10%",
    ),
    case(
        "growth to nothing",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  growth: -100%"),
        "traffic.growth: -100%: must be above -100% and at most 100,000%",
    ),
    case(
        "growth of a log",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: {timestamps: [0.5, 1]}\n  arrivals: replay\n  growth: 20%"),
        "traffic.growth: 20%: must be left out with arrivals: replay, which has no rate to multiply",
    ),
    # rules among the keys of the traffic
    case(
        "no rate",
        "validate shop.yaml",
        shop("rate: 40/s", "sessions: 5"),
        "shop.yaml:5: traffic.rate: is missing; only closed arrivals do without",
    ),
    case(
        "bursts without a rate",
        "validate shop.yaml",
        shop("rate: 40/s", "arrivals: bursty"),
        "shop.yaml:5: traffic.rate: is missing; only closed arrivals do without",
    ),
    case(
        "dispersion below that of Poisson",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  arrivals: bursty\n  dispersion: 0.5"),
        "shop.yaml:8: traffic.dispersion: 0.5: must be at least 1",
    ),
    case(
        "replay of a rate",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  arrivals: replay"),
        "shop.yaml:7: traffic.arrivals: replay: needs timestamps as its rate",
    ),
    case(
        "a replay that is uncertain",
        "validate shop.yaml",
        shop(
            "rate: 40/s",
            "rate: {timestamps: [0.5, 9.5]}\n  arrivals: replay\n  uncertain: 10%",
        ),
        "shop.yaml:8: traffic.uncertain: 10%: must be 0 with arrivals: replay, which has no rate",
    ),
    case(
        "uncertain by more than all",
        "validate shop.yaml",
        shop("slots: 2", "uncertain: 110%"),
        "shop.yaml:10: services.web.uncertain: 110%: a share must lie between 0% and 100%",
    ),
    case(
        "a correlation above one",
        "validate shop.yaml",
        shop("deploy: 2s", "correlation: 1.5"),
        "shop.yaml:12: services.web.steps.correlation: 1.5: a share must lie between 0% and 100%",
    ),
    case(
        "a shared step that is none",
        "validate shop.yaml",
        shop("deploy: 2s", "shared: {deplyo: 4s}"),
        "shop.yaml:12: services.web.steps.shared.deplyo: 4s: unknown key (nearest: deploy)",
    ),
    case(
        "shared work without a unit",
        "validate shop.yaml",
        shop("deploy: 2s", "shared: {deploy: 4}"),
        "shop.yaml:12: services.web.steps.shared.deploy: 4: a duration needs a unit, such as 4s",
    ),
    case(
        "closed without clients",
        "validate shop.yaml",
        shop("rate: 40/s", "arrivals: closed"),
        "shop.yaml:5: traffic.clients: is missing; closed arrivals need {count, think_time}",
    ),
    case(
        "clients that never think",
        "validate shop.yaml",
        shop("rate: 40/s", "arrivals: closed\n  clients: {count: 50, think_time: 0s}"),
        "shop.yaml:7: traffic.clients.think_time: 0s: a client must think for some time",
    ),
    case(
        "no clients",
        "validate shop.yaml",
        shop("rate: 40/s", "arrivals: closed\n  clients: {count: 0, think_time: 1s}"),
        "shop.yaml:7: traffic.clients.count: 0: must be at least 1",
    ),
    case(
        "clients misspelt",
        "validate shop.yaml",
        shop("rate: 40/s", "arrivals: closed\n  clients: {count: 5, think_tim: 1s}"),
        "shop.yaml:7: traffic.clients.think_tim: 1s: unknown key (nearest: think_time)",
    ),
    case(
        "route to nowhere",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {route: [wev]}}"),
        "shop.yaml:7: traffic.classes.all.route: wev: is no service; there is web",
    ),
    case(
        "service twice on a route",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {route: [web, web]}}"),
        "shop.yaml:7: traffic.classes.all.route: [web, web]: must not name a service twice",
    ),
    case(
        "requests that reconnect",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {reconnects: true}}"),
        "shop.yaml:7: traffic.classes.all.reconnects: true: needs holds_slot: false",
    ),
    case(
        "requests with a handshake",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {reconnects: {cost: 5ms}}}"),
        "shop.yaml:7: traffic.classes.all.reconnects: needs holds_slot: false",
    ),
    case(
        "a number of reconnects",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {holds_slot: false, reconnects: 3}}"),
        "shop.yaml:7: traffic.classes.all.reconnects: 3: must be true, false or a mapping such as",
    ),
    case(
        "a handshake without a unit",
        "validate shop.yaml",
        shop(
            "rate: 40/s",
            "rate: 40/s\n  classes: {all: {holds_slot: false, reconnects: {cost: 5}}}",
        ),
        "shop.yaml:7: traffic.classes.all.reconnects.cost: 5: a duration needs a unit",
    ),
    case(
        "a demand of neither kind",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: 40/s\n  classes: {all: {retries: {demand: fresh}}}"),
        "shop.yaml:7: traffic.classes.all.retries.demand: fresh: must be same or new",
    ),
    # the scenario's file
    case("missing file", "compare nowhere.yaml", {}, "nowhere.yaml: cannot be read: No such file"),
    case("directory", "compare .", {}, ".: cannot be read: Is a directory"),
    case("empty file", "validate e.yaml", {"e.yaml": ""}, "e.yaml:1: a scenario is a mapping"),
    case("no YAML", "validate x.yaml", {"x.yaml": "a: [1,\nb: 2"}, "x.yaml:2: is not YAML:"),
    case("no mapping", "validate x.yaml", {"x.yaml": "- a\n"}, "x.yaml:1: a scenario is a mapping"),
    case("no text", "validate x.yaml", {"x.yaml": b"\xff\xfe\x00"}, "x.yaml: cannot be read:"),
    case(
        "key twice",
        "validate shop.yaml",
        shop("  window: 2   # two at once", "  window: 2\n  window: 3"),
        'shop.yaml:15: is not YAML: found duplicate key "window"',
    ),
    case(
        "another format",
        "validate shop.yaml",
        shop("scenario/1", "scenario/2"),
        "shop.yaml:2: rollcast: scenario/2: must be scenario/1",
    ),
    # traces
    case(
        "missing trace",
        "simulate shop.yaml",
        {"shop.yaml": TRACED},
        "shop.yaml:6: traffic.rate.trace: evening.csv: cannot read the trace evening.csv: No such",
    ),
    case(
        "empty trace",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv": ""},
        "shop.yaml:6: traffic.rate.trace: evening.csv: the trace evening.csv is empty",
    ),
    case(
        "trace with words",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv": HEADER + ROWS[0] + "2024-05-01T18:01:00,many\n"},
        "shop.yaml:6: traffic.rate.trace: evening.csv: evening.csv, row 3: must be time,count",
    ),
    case(
        "negative count",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv": HEADER + ROWS[0] + "2024-05-01T18:01:00,-1\n"},
        "evening.csv, row 3: a count must not be negative",
    ),
    case(
        "simulated interval meets a gap",
        "simulate shop.yaml",
        {
            "shop.yaml": TRACED.replace("replications: 4", 'clock: {start: "18:09:50"}'),
            "evening.csv": HEADER + "".join(ROWS[:10] + ROWS[15:]),
        },
        "traffic.rate.trace evening.csv: the simulated interval meets a gap in the trace 10 s after "
        "the start, at 2024-05-01 18:10:00",
    ),
    case(
        "simulated interval meets the end",
        "simulate shop.yaml",
        {
            "shop.yaml": TRACED.replace("replications: 4", 'clock: {start: "18:29:50"}'),
            "evening.csv": HEADER + "".join(ROWS),
        },
        "meets the end of the trace 10 s after the start",
    ),
    # timestamps
    case(
        "missing timestamps",
        "simulate shop.yaml",
        {"shop.yaml": LOGGED},
        "shop.yaml:6: traffic.rate.timestamps: log.csv: cannot read the timestamps log.csv: No such",
    ),
    case(
        "timestamps with words",
        "simulate shop.yaml",
        {"shop.yaml": LOGGED, "log.csv": "time\n0.5\nsoon\n"},
        "traffic.rate.timestamps: log.csv: log.csv, row 3: must be seconds, got soon",
    ),
    case(
        "timestamps that go back",
        "simulate shop.yaml",
        {"shop.yaml": LOGGED, "log.csv": "0.5\n0.25\n"},
        "traffic.rate.timestamps: log.csv: log.csv, row 2: times must not go back, got 0.25",
    ),
    case(
        "simulated interval meets the end of the log",
        "simulate shop.yaml",
        {"shop.yaml": LOGGED, "log.csv": "0.5\n2.5\n"},
        "traffic.rate.timestamps log.csv: the simulated interval meets the end of the trace 2.5 s "
        "after the start",
    ),
    case(
        "seconds that go back",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: {timestamps: [2, 1]}"),
        "shop.yaml:6: traffic.rate.timestamps: [2, 1]: the times must not go back, as 1 does",
    ),
    case(
        "seconds with a unit",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: {timestamps: [1s]}"),
        "shop.yaml:6: traffic.rate.timestamps: [1s]: must hold plain seconds such as 0.5, not 1s",
    ),
    case(
        "no seconds",
        "validate shop.yaml",
        shop("rate: 40/s", "rate: {timestamps: []}"),
        "shop.yaml:6: traffic.rate.timestamps: []: must be a file, or a list of seconds",
    ),
    # --set and the other options
    case(
        "unknown key set",
        "simulate shop.yaml --set rollout.windw=3",
        GOOD,
        "shop.yaml with --set: rollout.windw: 3: unknown key (nearest: window)",
    ),
    case(
        "set without =",
        "simulate shop.yaml --set rollout.window",
        GOOD,
        "--set rollout.window: must be key.path=value",
    ),
    case(
        "set below a value",
        "simulate shop.yaml --set rollout.window.size=3",
        GOOD,
        "--set rollout.window.size: rollout.window is 2, it has no keys",
    ),
    case(
        "window of nothing",
        "compare shop.yaml --windows 0",
        GOOD,
        "--windows 0: 0: a window must be at least 1",
    ),
    case(
        "window of words",
        "compare shop.yaml --windows 1,many",
        GOOD,
        "--windows 1,many: many: must be a count or a whole percentage, such as 4 or 25%",
    ),
    case("no window", "compare shop.yaml --windows 1,", GOOD, "--windows 1,: nothing: must be a"),
    case(
        "windows beyond the fleet",
        "compare shop.yaml --windows 2,7",
        GOOD,
        "window (7) must not exceed the fleet (6)",
    ),
    case(
        "percentage beyond the fleet",
        "compare shop.yaml --windows 200%",
        GOOD,
        "window (200%) must not exceed the fleet (6)",
    ),
    case(
        "drain without unit",
        "compare shop.yaml --drain-timeouts 10",
        GOOD,
        "--drain-timeouts 10: 10: a duration needs a unit, such as 10s",
    ),
    case(
        "no such advance",
        "compare shop.yaml --advance slowly",
        GOOD,
        "--advance slowly: slowly: must be sliding or batch",
    ),
    case(
        "no such start",
        "compare shop.yaml --starts noon",
        GOOD,
        "--starts noon: noon: must be an offset such as 90m",
    ),
    case(
        "no replications",
        "simulate shop.yaml --replications 0",
        GOOD,
        "--replications 0: must be a whole number, at least 1",
    ),
    case("no number", "simulate shop.yaml --seed one", GOOD, "--seed one: must be a whole number"),
    case(
        "engine that is not there",
        "simulate shop.yaml --engine fast",
        GOOD,
        "--engine fast: must be auto, compiled or reference",
    ),
    case("unknown option", "compare shop.yaml --windoes 1", GOOD, "No such option: --windoes"),
    case("unknown command", "comparre shop.yaml", GOOD, "No such command 'comparre'"),
    case("missing argument", "compare", {}, "Missing argument 'SCENARIO'"),
    case("plan without output", "plan shop.yaml", GOOD, "Missing option '-o'"),
    case("valid for nothing", "plan shop.yaml -o p.json --valid-for 0s", GOOD, "must be above 0"),
    case("no size", "studio shop.yaml --screenshots d --size big", GOOD, "--size big: must be"),
    case("no theme", "studio shop.yaml --theme blue", GOOD, "--theme blue: must be light or dark"),
    # outputs
    case(
        "plan into a folder that is not there",
        "plan shop.yaml -o nowhere/plan.json",
        GOOD,
        "nowhere/plan.json: cannot be written: no such directory: nowhere",
    ),
    case(
        "plan onto a folder",
        "plan shop.yaml -o .",
        GOOD,
        ".: cannot be written: is a directory",
    ),
    case(
        "figures into a folder that is not there",
        "compare shop.yaml --csv nowhere/f.csv",
        GOOD,
        "nowhere/f.csv: cannot be written: no such directory: nowhere",
    ),
    case(
        "requests into a folder that is not there",
        "simulate shop.yaml --requests nowhere/r.csv",
        GOOD,
        "nowhere/r.csv: cannot be written: no such directory: nowhere",
    ),
    case(
        "requests of another kind",
        "simulate shop.yaml --requests r.txt",
        GOOD,
        "--requests r.txt: must end in .csv or .parquet",
    ),
    case("new over a file", "new shop.yaml", GOOD, "shop.yaml: exists already"),
    case(
        "copy of none",
        "scenarios --copy chekout",
        {},
        "--copy chekout: no such scenario (nearest: checkout-evening)",
    ),
    # plans
    case("missing plan", "validate p.json", {}, "p.json: cannot be read: No such file"),
    case("plan that is no JSON", "validate p.json", {"p.json": "{"}, "p.json:1:"),
    case(
        "plan that is none",
        "validate p.json",
        {"p.json": '{"schema": "rollcast.plan/1"}'},
        "p.json: ",
    ),
    case(
        "plan with a changed digit",
        "validate p.json",
        {"p.json": PLAN.replace('"mean": 31.25', '"mean": 31.35')},
        "must be that of the content (",
        3,
    ),
    case(
        "plan with another window",
        "validate p.json --again",
        {"p.json": PLAN.replace('"window": 2', '"window": 3')},
        "must be that of the content (",
        3,
    ),
    case(
        "nothing to plan",
        "plan shop.yaml -o p.json --jobs 1",
        {"shop.yaml": re.sub(r"rollout:\n.*\n.*\n", "clock: {horizon: 10s}\n", SHOP)},
        "shop.yaml: rollout: is missing, there is nothing to plan",
    ),
]


@pytest.mark.parametrize(("arguments", "files", "said", "code"), CASES)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str],
    files: dict[str, str | bytes],
    said: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rollcast = CommandLine(tmp_path, monkeypatch, capsys)
    if arguments[0] in {"simulate"}:
        arguments = [*arguments, "--jobs", "1"]
    rollcast.refuses(arguments, files, said, code)
