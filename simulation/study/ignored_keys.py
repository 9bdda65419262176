"""The keys of a rollout or a balancer that are written in a scenario and change nothing there.

A file may keep keys for another strategy, so that one `--set rollout.strategy=…` is enough to compare
strategies. `rollcast validate` names such keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.rollout import Rollout

_ALL_AT_ONCE = frozenset(
    {
        *("window", "advance", "surge", "instance_order"),
        *("canary", "migration", "stop_when_batch_failed"),
    }
)
"""Keys that say how instances follow each other, or belong to another strategy."""

IGNORED_BY_STRATEGY: dict[str, frozenset[str]] = {
    "rolling": frozenset({"canary", "migration"}),
    "canary": frozenset({"migration"}),
    "blue_green": _ALL_AT_ONCE | {"replacement", "min_healthy"},
    "recreate": _ALL_AT_ONCE | {"pause"},
    "expand_migrate_contract": frozenset({"canary"}),
}
"""The keys that each strategy ignores. `blue_green` never takes anything from the pool, so it keeps
every `min_healthy` anyway; `recreate` refuses any but 0."""


@dataclass(frozen=True)
class IgnoredKeys:
    """Keys that are written and change nothing.

    Attributes:
        keys: The keys, such as ``rollout.window`` or ``services.web.rollout.window``.
        because: The key and its value that make these keys change nothing, such as
            ``strategy blue_green``.
    """

    keys: tuple[str, ...]
    because: str


def ignored_keys(scenario: Scenario) -> tuple[IgnoredKeys, ...]:
    """Return the written keys that change nothing, by the reason.

    A common key is among them where every service that follows it ignores it.
    """
    found: dict[str, list[str]] = {}
    for where, because in _ignored(scenario):
        found.setdefault(because, []).append(where)
    return tuple(IgnoredKeys(tuple(keys), because) for because, keys in found.items())


def _ignored(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for name, service in scenario.services.items():
        for key in service.balancer.ignored_keys:
            yield f"services.{name}.balancer.{key}", "balance request"
    if scenario.rollout is None:
        return
    names = scenario.rolled_services()
    for key in type(scenario.rollout).model_fields:
        if key in scenario.rollout.model_fields_set:
            reasons = [
                _reason(scenario, name, key) for name in names if not scenario.has_own(name, key)
            ]
            if reasons and all(reasons):
                yield f"rollout.{key}", " or ".join(dict.fromkeys(filter(None, reasons)))
        for name in names:
            if scenario.has_own(name, key) and (reason := _reason(scenario, name, key)):
                yield f"services.{name}.rollout.{key}", reason


def _reason(scenario: Scenario, service: str, key: str) -> str | None:
    rule = scenario.rule(service)
    assert rule is not None
    return reason_to_ignore(rule, key)


def reason_to_ignore(rule: Rollout, key: str) -> str | None:
    """Return the key and its value that make another key change nothing; None where it has an effect."""
    if key in IGNORED_BY_STRATEGY[rule.strategy]:
        return f"strategy {rule.strategy}"
    if key in ("max_failures", "stop_when_batch_failed") and rule.on_failure != "continue":
        return f"on_failure {rule.on_failure}"
    if key == "stop_when_batch_failed" and not rule.has_batches:
        return f"advance {rule.advance}"
    return None
