"""Hypotheses: what may be the cause in a scenario, how to take it away, and what may help.

Specific causes come before general ones: a smaller window helps against nearly everything, so the
window is named only where nothing specific is the cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulation.results.losses import LossCause
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import RequestClass
from simulation.study.candidates import may_surge
from simulation.study.why.diagnosis import ENDS_WELL, RootCause, Values
from simulation.study.why.ladders import (
    Ladder,
    durations,
    larger_windows,
    longer_s,
    longer_than_lag_s,
    more_instances,
    rollout_keys,
    smaller_windows,
    surges,
)

_TIMED_OUT = frozenset({LossCause.TIMED_OUT_IN_QUEUE, LossCause.TIMED_OUT_IN_SERVICE})
OVERLOADED = _TIMED_OUT | {LossCause.REJECTED}
"""The losses of a pool that cannot carry its load."""

_REFUSED = frozenset({LossCause.REFUSED_AFTER_STOP, LossCause.REFUSED_AFTER_CRASH})

EXPLAINED: dict[RootCause, frozenset[LossCause]] = {
    RootCause.FLEET: frozenset(LossCause),
    RootCause.ERRORS_OF_NEW_VERSION: frozenset({LossCause.ERROR_OF_NEW_VERSION}),
    RootCause.CONTRACT_TOO_EARLY: frozenset({LossCause.ERROR_OF_OLD_VERSION}),
    RootCause.BLACK_HOLE: _REFUSED,
    RootCause.MISSING_PRE_STOP: frozenset({LossCause.REFUSED_AFTER_STOP}),
    RootCause.DRAIN_TOO_SHORT: frozenset({LossCause.CUT_AT_DRAIN}),
    RootCause.STOP_TOO_HARD: frozenset({LossCause.CUT_AT_STOP}),
    RootCause.CRASHES: frozenset({LossCause.REFUSED_AFTER_CRASH, LossCause.ERROR_OF_CRASH}),
    RootCause.SLOWER_VERSION: OVERLOADED,
    RootCause.COLD_VERSION: OVERLOADED,
    RootCause.RETRY_STORM: OVERLOADED,
    RootCause.CLIENT_TIMEOUT: _TIMED_OUT,
    RootCause.QUEUE_TIMEOUT: frozenset({LossCause.TIMED_OUT_IN_QUEUE}),
    RootCause.QUEUE_LIMIT: frozenset({LossCause.REJECTED}),
    RootCause.WINDOW: OVERLOADED,
}
"""The losses that each cause explains; other causes explain none."""

_ABOUT_THE_ROLLOUT = frozenset({"duration", "lowest_in_pool", "most_instances", "failed_instances"})
"""Objectives that are not about requests."""

_DRAWN_TO_IDLE = ("least_connections", "power_of_two")
"""Policies that prefer an instance with few requests in flight."""

_TIMES_LONGER = 3.0
"""A deadline of requests is too short where one that is so many times as long suffices.

An overloaded pool leaves a queue that outgrows any such deadline."""


@dataclass(frozen=True)
class Hypothesis:
    """A cause that the scenario may have.

    Attributes:
        cause: The cause.
        removal: The values that take the cause away.
        ladder: Values that may help, the smallest change first.
        objectives: The objectives about the rollout itself that the cause may break.
        is_about_requests: Whether the cause may break the other objectives.
        is_shown_by_fewer: Whether the cause is also shown where its removal avoids most of the losses.
    """

    cause: RootCause
    removal: Values
    ladder: Ladder = ()
    objectives: frozenset[str] = frozenset()
    is_about_requests: bool = True
    is_shown_by_fewer: bool = False

    def may_explain(self, objectives: tuple[str, ...]) -> bool:
        """Return whether the cause may break each of these objectives."""
        return all(
            name in self.objectives or (self.is_about_requests and name not in _ABOUT_THE_ROLLOUT)
            for name in objectives
        )

    @property
    def losses(self) -> frozenset[LossCause]:
        """The losses that the cause explains."""
        return EXPLAINED.get(self.cause, frozenset())

    @property
    def shows_in_losses_only(self) -> bool:
        """Return whether the cause loses requests and slows none down."""
        return bool(self.losses - OVERLOADED)


def hypotheses_of(scenario: Scenario) -> tuple[Hypothesis, ...]:
    """Return every hypothesis on a scenario that has a rollout, specific ones first."""
    return tuple(
        [
            *_versions(scenario),
            *_stops(scenario),
            *_steps(scenario),
            *_crashes(scenario),
            *_requests(scenario),
            *_rollout(scenario),
        ]
    )


def _versions(scenario: Scenario) -> Iterator[Hypothesis]:
    rolled = {name: scenario.services[name].versions for name in scenario.rolled_services()}
    wrong = {
        f"services.{name}.versions.new.error_fraction": versions
        for name, versions in rolled.items()
        if versions.new.error_fraction > versions.old.error_fraction
    }
    if wrong:
        yield Hypothesis(
            RootCause.ERRORS_OF_NEW_VERSION,
            {key: versions.old.error_fraction for key, versions in wrong.items()},
            tuple(
                {
                    key: max(versions.old.error_fraction, versions.new.error_fraction * factor)
                    for key, versions in wrong.items()
                }
                for factor in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0)
            ),
        )
    slower = {
        f"services.{name}.versions.new.service_factor": versions
        for name, versions in rolled.items()
        if versions.new.service_factor > versions.old.service_factor
    }
    if slower:
        yield Hypothesis(
            RootCause.SLOWER_VERSION,
            {key: versions.old.service_factor for key, versions in slower.items()},
            (*smaller_windows(scenario), *more_instances(scenario)),
        )
    cold = {
        f"services.{name}.versions.new.cold.factor": versions.new.cold
        for name, versions in rolled.items()
        if versions.new.cold.factor > 1
    }
    if cold:
        decays_s = [each.decay for each in cold.values() if each.decay is not None]
        waits_s = [max(decays_s) * factor for factor in (1, 2, 3, 5)] if decays_s else []
        slow_starts = [
            f"services.{name}.balancer.slow_start"
            for name, versions in rolled.items()
            if versions.new.cold.factor > 1
        ]
        yield Hypothesis(
            RootCause.COLD_VERSION,
            dict.fromkeys(cold, 1.0),
            (
                *durations(rollout_keys(scenario, "min_ready"), waits_s),
                *durations(slow_starts, waits_s),
                *smaller_windows(scenario),
            ),
        )
    common = scenario.rollout
    assert common is not None
    if common.migration is not None and common.migration.contract_before_rollout:
        later: Values = {"rollout.migration.contract_before_rollout": False}
        yield Hypothesis(RootCause.CONTRACT_TOO_EARLY, later, (later,))


def _stops(scenario: Scenario) -> Iterator[Hypothesis]:
    """Yield what is wrong between the take-out and the stop of an instance."""
    rolled = [name for name in scenario.rolled_services() if scenario.is_called(name)]
    rules = {name: rule for name in rolled if (rule := scenario.rule(name)) is not None}
    lags_s = [scenario.services[name].balancer.propagation_delay for name in rules]
    lag_s = max(lags_s, default=0.0)
    is_late = any(
        lag > rule.pre_stop for lag, rule in zip(lags_s, rules.values(), strict=True) if lag > 0
    )
    later: Ladder = ()
    if is_late:
        later = durations(rollout_keys(scenario, "pre_stop"), longer_than_lag_s(lag_s))
    drawn = [name for name in rolled if scenario.services[name].balancer.policy in _DRAWN_TO_IDLE]
    if drawn:
        policies = {f"services.{name}.balancer.policy": "round_robin" for name in drawn}
        yield Hypothesis(
            RootCause.BLACK_HOLE,
            policies,
            (*later, *_redispatches(scenario, drawn), policies),
            is_shown_by_fewer=True,
        )
    if later:
        yield Hypothesis(RootCause.MISSING_PRE_STOP, later[-1], later)
    timeouts_s = [rule.drain.timeout for rule in rules.values()]
    if any(rule.drain.on_timeout != "wait" for rule in rules.values()):
        yield Hypothesis(
            RootCause.DRAIN_TOO_SHORT,
            dict.fromkeys(rollout_keys(scenario, "drain.on_timeout"), "wait"),
            durations(rollout_keys(scenario, "drain.timeout"), longer_s(max(timeouts_s), 5.0)),
        )
    stops = [rule.stop for rule in rules.values()]
    graces_s = longer_s(max((stop.grace for stop in stops), default=0.0), 5.0)
    if stops and graces_s:
        longer = durations(rollout_keys(scenario, "stop.grace"), graces_s)
        if any(stop.mode == "abrupt" for stop in stops):
            graceful = dict.fromkeys(rollout_keys(scenario, "stop.mode"), "graceful")
            longer = (graceful, *({**graceful, **grace} for grace in longer))
        yield Hypothesis(RootCause.STOP_TOO_HARD, longer[-1], longer)


def _redispatches(scenario: Scenario, names: list[str]) -> Ladder:
    """Return retries of the balancer at other instances, the fewest first."""
    return tuple(
        {
            f"services.{name}.balancer.connect_retries": {
                "attempts": attempts,
                "delay": "0s",
                "redispatch": True,
            }
            for name in names
        }
        for attempts in (1, 3)
    )


def _steps(scenario: Scenario) -> Iterator[Hypothesis]:
    """Yield steps that fail and deadlines that pass."""
    rolled = scenario.rolled_services()
    keys = [
        f"services.{name}.versions.new.{key}"
        for name in rolled
        for key in ("verify_fails", "start_fails")
        if getattr(scenario.services[name].versions.new, key) > 0
    ]
    rules = [rule for name in rolled if (rule := scenario.rule(name)) is not None]
    if keys:
        tries = max(rule.retries for rule in rules)
        yield Hypothesis(
            RootCause.STEP_FAILURES,
            dict.fromkeys(keys, 0.0),
            tuple(
                dict.fromkeys(rollout_keys(scenario, "retries"), tries + more)
                for more in (1, 2, 3, 5, 8)
            ),
            frozenset({ENDS_WELL, "failed_instances", "duration"}),
            is_about_requests=False,
        )
    for cause, key, deadlines_s in (
        (
            RootCause.PROGRESS_DEADLINE,
            "progress_deadline",
            [rule.progress_deadline_s for rule in rules],
        ),
        (
            RootCause.HEALTHY_DEADLINE,
            "healthy_deadline",
            [rule.healthy_deadline for rule in rules],
        ),
    ):
        known_s = [each for each in deadlines_s if each is not None]
        ladder = durations(rollout_keys(scenario, key), longer_s(max(known_s, default=0.0)))
        if known_s and ladder:
            yield Hypothesis(
                cause,
                ladder[-1],
                ladder,
                frozenset({ENDS_WELL, "failed_instances"}),
                is_about_requests=False,
            )


def _crashes(scenario: Scenario) -> Iterator[Hypothesis]:
    crashing = [name for name, each in scenario.services.items() if each.crashes is not None]
    if crashing:
        yield Hypothesis(
            RootCause.CRASHES,
            {f"services.{name}.crashes": "none" for name in crashing},
            (*_redispatches(scenario, crashing), *smaller_windows(scenario)),
        )


def _requests(scenario: Scenario) -> Iterator[Hypothesis]:
    """Yield retries, deadlines and limits that turn waiting into losses."""
    classes = scenario.traffic.classes
    retrying = [name for name, kind in classes.items() if kind.retries.attempts > 0]
    if retrying:
        none = {f"traffic.classes.{name}.retries.attempts": 0 for name in retrying}
        budgets = tuple(
            {f"traffic.classes.{name}.retries.budget": f"{percent}%" for name in retrying}
            for percent in (20, 10, 5)
        )
        yield Hypothesis(
            RootCause.RETRY_STORM,
            none,
            (*budgets, none, *smaller_windows(scenario)),
            is_shown_by_fewer=True,
        )
    leaving = [name for name, kind in classes.items() if kind.client_timeout is not None]
    yield from _deadline(
        RootCause.CLIENT_TIMEOUT,
        [f"traffic.classes.{name}.client_timeout" for name in leaving],
        [_client_timeout_s(classes[name]) for name in leaving],
    )
    balancers = {name: service.balancer for name, service in scenario.services.items()}
    waits_s = {
        f"services.{name}.balancer.queue_timeout": each.queue_timeout
        for name, each in balancers.items()
        if each.queue_timeout is not None
    }
    yield from _deadline(RootCause.QUEUE_TIMEOUT, list(waits_s), list(waits_s.values()))
    limits = {
        f"services.{name}.balancer.queue_limit": each.queue_limit
        for name, each in balancers.items()
        if each.queue_limit is not None
    }
    if limits:
        steps = [
            {key: max(factor * limit, factor) for key, limit in limits.items()}
            for factor in (2, 5, 10, 20)
        ]
        removal = {key: max(int(_TIMES_LONGER * limit), 10) for key, limit in limits.items()}
        yield Hypothesis(RootCause.QUEUE_LIMIT, removal, tuple(steps))


def _client_timeout_s(kind: RequestClass) -> float:
    assert kind.client_timeout is not None
    return kind.client_timeout


def _deadline(cause: RootCause, keys: list[str], values_s: list[float]) -> Iterator[Hypothesis]:
    if not keys:
        return
    longest_s = max(values_s)
    steps_s = [each for each in longer_s(longest_s) if each <= 2 * _TIMES_LONGER * longest_s]
    yield Hypothesis(
        cause, durations(keys, [_TIMES_LONGER * longest_s])[0], durations(keys, steps_s)
    )


def _rollout(scenario: Scenario) -> Iterator[Hypothesis]:
    """Yield what is general: guards, the window, the surge, and the speed of the rollout."""
    rules = [rule for name in scenario.rolled_services() if (rule := scenario.rule(name))]
    guards = rollout_keys(scenario, "guards")
    if any(rule.guards is not None for rule in rules):
        yield Hypothesis(RootCause.GUARD, dict.fromkeys(guards, "none"))
    fewer, beside = smaller_windows(scenario), surges(scenario)
    possible = beside if may_surge(scenario) else ()
    pool = frozenset({"lowest_in_pool"})
    if fewer:
        yield Hypothesis(RootCause.WINDOW, fewer[-1], (*fewer, *possible), pool)
    if beside:
        ladder = (*possible, *more_instances(scenario))
        yield Hypothesis(RootCause.WINDOW, beside[0], ladder, pool)
    if any(scenario.surge_count(name) > 1 for name in scenario.rolled_services()):
        most = max(scenario.surge_count(name) for name in scenario.rolled_services())
        keys = rollout_keys(scenario, "surge")
        smaller = tuple(dict.fromkeys(keys, count) for count in range(most - 1, 0, -1))
        yield Hypothesis(
            RootCause.SURGE,
            smaller[-1],
            smaller,
            frozenset({"most_instances"}),
            is_about_requests=False,
        )
    larger = larger_windows(scenario)
    if larger:
        yield Hypothesis(
            RootCause.SLOW_ROLLOUT,
            larger[-1],
            larger,
            frozenset({"duration", ENDS_WELL}),
            is_about_requests=False,
        )
