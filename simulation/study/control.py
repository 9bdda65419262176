"""The controls of a study: the scenarios of its cases without a rollout.

A control is simulated on the same draws as the cases that are held against it. Where the new version
is slower or fails more often, a second control runs the whole fleet on the new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulation.requests.identity import Same
from simulation.scenario.model import Scenario, Version
from simulation.study.case import Case


@dataclass(frozen=True)
class Control:
    """The scenario of some cases without their rollout.

    Attributes:
        case: The first of these cases; all have its start and its policy.
        scenario: The scenario without a rollout.
        new_version: The same with the whole fleet on the new version; None where the versions do not
            differ in speed or errors.
    """

    case: Case
    scenario: Scenario = field(compare=False, repr=False)
    new_version: Scenario | None = field(compare=False, repr=False)


@dataclass(frozen=True)
class Controls:
    """The controls of a study.

    Attributes:
        each: The controls, in the order of the first case of each.
        of_case: For each case, the index of its control; None for a case without a rollout.
    """

    each: tuple[Control, ...]
    of_case: tuple[int | None, ...]


def controls_of(cases: Sequence[Case]) -> Controls:
    """Return the controls of cases: one for each start, and for each policy that is compared."""
    controls: dict[object, Control] = {}
    keys: list[object] = []
    for case in cases:
        scenario = case.scenario
        if scenario.rollout is None:
            keys.append(None)
            continue
        key = (
            scenario.clock,
            scenario.seed,
            Same(scenario.traffic),
            Same(scenario.services),
            Same(scenario.objectives),
            scenario.service_name,
            scenario.rolled_services(),
        )
        keys.append(key)
        if key not in controls:
            fleet = without_rollout(scenario)
            controls[key] = Control(case, fleet, _on_new_version(fleet, scenario.rolled_services()))
    places = {key: place for place, key in enumerate(controls)}
    return Controls(tuple(controls.values()), tuple(places.get(key) for key in keys))


def without_rollout(scenario: Scenario) -> Scenario:
    """Return the scenario without its rollout; every request goes the same way.

    A class without a route goes to the service for which the keys of the rollout stand.
    """
    fleet = scenario.model_copy(update={"rollout": None})
    if fleet.service_name == scenario.service_name:
        return fleet
    classes = {
        name: kind.model_copy(update={"route": scenario.route_of(kind)})
        for name, kind in scenario.traffic.classes.items()
    }
    traffic = scenario.traffic.model_copy(update={"classes": classes})
    return fleet.model_copy(update={"traffic": traffic})


def _on_new_version(fleet: Scenario, rolled: Sequence[str]) -> Scenario | None:
    """Return a scenario whose rolled services run the new version; None where it behaves as the old."""
    services = dict(fleet.services)
    for name in rolled:
        old, new = services[name].versions.old, services[name].versions.new
        as_new = Version(service_factor=new.service_factor, error_fraction=new.error_fraction)
        if old != as_new:
            versions = services[name].versions.model_copy(update={"old": as_new})
            services[name] = services[name].model_copy(update={"versions": versions})
    if all(services[name] is fleet.services[name] for name in rolled):
        return None
    return fleet.model_copy(update={"services": services})
