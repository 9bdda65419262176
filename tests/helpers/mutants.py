"""Code with a deliberate mistake, to check that the tests notice it.

``NUMBA_DISABLE_JIT=1 python -m tests.helpers.mutants NAME`` prints how the engines then differ. Both
engines share the control plane, so a mistake there is held against measured rollouts instead:
``python -m tests.helpers.mutants NAME "failing pods"`` prints how many are then updated and available.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

MISTAKES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "none": (),
    "a tie broken the other way": (
        (
            "policies",
            "return leaf_at(leaves, lowest).after",
            "return leaf_at(leaves, lowest).before",
        ),
    ),
    "a drained instance takes one more": (
        (
            "policies",
            "        if _may_pick(p, s, k, needs_room):\n            return k\n        k += 1",
            "        if _may_pick(p, s, k, needs_room) or k == service.next:\n            return k\n"
            "        k += 1",
        ),
    ),
    "a timeout from the start of service": (
        (
            "fast_path",
            "    is_served = start <= leaves_at\n",
            "    leaves_at += max(0.0, start - now)\n    is_served = start <= leaves_at\n",
        ),
        (
            "calls",
            "    call.start = h.now\n",
            "    call.start = h.now\n"
            "    kind = class_at(h.classes, attempt.kind)\n"
            "    if h.now > call.arrival and kind.lane >= 0:\n"
            "        attempt.order += 1 << 40\n"
            "        key = TIMEOUTS + attempt.order\n"
            "        set_timeout(p, kind.lane, h.now + kind.timeout, key, a, 0)\n",
        ),
    ),
    "a retry with a fresh demand": (
        (
            "loop",
            "        call_at(h.calls, a * h.route_max + place).want = want\n    before",
            "        call_at(h.calls, a * h.route_max + place).want = want * 1.25\n    before",
        ),
        (
            "fast_path",
            "        attempt.want,\n        attempt.request_time",
            "        attempt.want * 1.25,\n        attempt.request_time",
        ),
    ),
    "a cut that forgets the queue": (
        (
            "slots",
            "    while instance.head >= 0:\n        node = instance.head\n        waits",
            "    while False:\n        node = instance.head\n        waits",
        ),
        ("outcomes", "    count = _gather(p, g, begun, True)", "    count = begun"),
    ),
    "a pinned connection is rebalanced": (
        (
            "calls",
            "        if there >= 0:\n            send(p, c, there)\n",
            "        if there >= 0 and instance_at(h.instances, there).is_believed:\n"
            "            send(p, c, there)\n",
        ),
    ),
    "warm-up from the return to the pool": (
        (
            "belief",
            "    instance.is_believed = believed\n",
            "    instance.is_believed = believed\n"
            "    if believed:\n        instance.started = h.now\n",
        ),
    ),
    "return lag ignored": (
        (
            "plane",
            "return_delay_s=service.balancer.return_delay,",
            "return_delay_s=0.0,",
        ),
    ),
    "a request in flight at an edge forgotten": (
        ("tally", "    if 0 <= attempt.request_time < h.edge:\n", "    if h.now < 0:\n"),
        ("outcomes", "    if 0 <= request_time < h.edge:\n", "    if h.now < 0:\n"),
    ),
    "stationary ages zero": (
        ("loop", "call.want = max(0.0, life - (h.now - opened))", "call.want = life"),
    ),
}
"""The mistakes by name. Each changes modules: (module, right text, wrong text).

A module without a dot is one of the kernel, or the engine's plane.
"""

NOTICED = {
    "none": frozenset[str](),
    "a pinned connection is rebalanced": frozenset({"balanced"}),
    "stationary ages zero": frozenset({"long-lived"}),
}
"""The cases in which a mistake must show, where these are not `BOTH_PATHS`."""

BOTH_PATHS = frozenset({"fast", "general"})
"""The cases of requests on the fast path, and on the general one."""

ON_BALANCED = frozenset({"none", "a pinned connection is rebalanced"})
"""The mistakes that are also looked for where connections are balanced."""

_ENGINE = "simulation.engines.compiled"


CONTROL_MISTAKES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "budget not used up": (
        (
            "simulation.control.strategies.surge",
            "            if self._keeps_places:\n                return\n"
            "            self._making.discard(instance)\n",
            "            self._making.discard(instance)\n            if self._keeps_places:\n"
            "                self._room.admit()\n                return\n",
        ),
    ),
}
"""Mistakes of the control plane by name: (whole name of the module, right text, wrong text)."""


def _full_name(module: str) -> str:
    if "." in module:
        return module
    return f"{_ENGINE}.{module}" if module == "plane" else f"{_ENGINE}.kernel.{module}"


class _MistakenLoader(importlib.machinery.SourceFileLoader):
    changes: Sequence[tuple[str, str]] = ()

    def get_data(self, path: str) -> bytes:
        text = super().get_data(path).decode()
        for right, wrong in self.changes:
            assert text.count(right) == 1, f"{path} has {text.count(right)} times: {right}"
            text = text.replace(right, wrong)
        return text.encode()

    def get_code(self, fullname: str) -> Any:
        return compile(self.get_data(self.get_filename(fullname)), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mistake: Sequence[tuple[str, str, str]]) -> None:
        self._mistake = mistake

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> Any:
        modules = {_full_name(module) for module, *_ in self._mistake}
        if fullname not in modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        loader = _MistakenLoader(fullname, spec.origin)
        loader.changes = [
            (right, wrong)
            for module, right, wrong in self._mistake
            if fullname == _full_name(module)
        ]
        return importlib.util.spec_from_loader(fullname, loader)


def _make_mistakes(mistakes: Sequence[tuple[str, str, str]]) -> None:
    """Change modules, which must not have been imported yet."""
    for module, *_ in mistakes:
        assert importlib.util.find_spec(_full_name(module)), f"no module {module}"
    sys.meta_path.insert(0, _Finder(mistakes))


def print_failing_pods(name: str) -> None:
    """Print how many pods are updated and available where the first one is never ready."""
    _make_mistakes(CONTROL_MISTAKES.get(name, ()))
    from tests.helpers.deployments import measured, run_with_a_pod_never_ready

    for row in measured("kubernetes_failing_pods.csv"):
        run = run_with_a_pod_never_ready(row)
        assert run.stopped_by is not None
        counts = run.stopped_by.counts
        assert counts is not None
        print(f"{row['case']}: {counts.updated} {counts.available}")


def _requests(policy: str, queue_limit: Any, balancer: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a scenario whose requests leave, retry and are cut."""
    return {
        "rate": "60/s",
        "instances": 4,
        "slots": 1,
        "service_time": {"mean": "60ms", "cv": 1},
        "policy": policy,
        "queue": "instance",
        "queue_limit": queue_limit,
        "balancer": balancer,
        "classes": {
            "all": {
                "client_timeout": "250ms",
                "cancel_on_disconnect": True,
                "retries": {"attempts": 2, "backoff": "100ms", "cut": True},
            }
        },
        "versions": {"new": {"cold": {"factor": 3, "decay": "2s"}}},
        "steps": {"return": "500ms"},
        "rollout": {
            "strategy": "rolling",
            "window": 1,
            "drain": {"timeout": "50ms", "on_timeout": "cut"},
        },
    }


def _cases(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cases in which a mistake is looked for, each with the parts of its scenario."""
    late: dict[str, Any] = {"return_delay": "1s"}
    balanced: dict[str, Any] = {"balance": "connection", "connections": 20}
    for policy in ("round_robin", "least_connections"):
        yield "fast", _requests(policy, "none", late)
        yield "general", _requests(policy, 50, late)
        if name in ON_BALANCED:
            yield "balanced", _requests(policy, 50, balanced)
    life = {"app": {"mean": "40s", "cv": 0.5}}
    yield (
        "long-lived",
        {
            "rate": "3/s",
            "classes": {"ws": {"holds_slot": False, "service_time": life}},
            "rollout": {"window": 1, "drain": {"timeout": "500ms"}},
        },
    )


def main(name: str) -> None:
    """Print how the engines differ in each case."""
    np.seterr(over="ignore")  # the hashes of draws overflow on purpose
    _make_mistakes(MISTAKES[name])
    from tests.helpers.agree import difference
    from tests.helpers.scenarios import scenario

    for number, (case, parts) in enumerate(_cases(name)):
        clock, objectives = {"horizon": "15s", "warm_up": "2s"}, {"over": "4s"}
        one = scenario(clock=clock, objectives=objectives, **parts)
        print(f"{case} {number}: {difference(one)}")


if __name__ == "__main__":
    print_failing_pods(sys.argv[1]) if sys.argv[2:] == ["failing pods"] else main(sys.argv[1])
