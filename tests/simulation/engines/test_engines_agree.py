"""Both engines give the same results, request by request, to the last digit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel

from simulation.engines.compiled.layout import has_fast_path
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.units import FileModel
from studio.resources import scenarios_dir
from tests.helpers.agree import difference
from tests.helpers.generated import scenarios
from tests.helpers.mutants import BOTH_PATHS, MISTAKES, NOTICED, ON_BALANCED
from tests.helpers.scenarios import scenario

SHIPPED = sorted(path.stem for path in scenarios_dir().glob("*.yaml"))

many = settings(
    max_examples=60 if os.environ.get("ROLLCAST_NIGHTLY") is None else 600,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("name", SHIPPED)
def test_engines_agree_on_the_shipped_scenarios(name: str) -> None:
    assert difference(ScenarioFile.load(scenarios_dir() / f"{name}.yaml").scenario) is None


@pytest.mark.slow
@many
@given(scenarios())
def test_engines_agree_on_generated_scenarios(one: Scenario) -> None:
    assert difference(one) is None


@pytest.mark.slow
@many
@given(scenarios(known=True))
def test_engines_agree_on_the_fast_path(one: Scenario) -> None:
    assert has_fast_path(one)
    assert difference(one) is None


@pytest.mark.parametrize("seed", range(1, 7))
def test_engines_agree_on_retries_a_turn_of_the_wheel_ahead(seed: int) -> None:
    retries = {"attempts": 6, "backoff": "250ms", "jitter": 0}
    one = scenario(
        rate="5/s",
        instances=8,
        slots=1,
        service_time={"exponential": "500ms"},
        queue="instance",
        classes={
            "all": {"client_timeout": "300ms", "cancel_on_disconnect": True, "retries": retries}
        },
        clock={"horizon": "150s", "warm_up": "5s"},
        seed=seed,
    )
    assert has_fast_path(one)
    assert difference(one) is None


def test_engines_agree_on_retries_that_never_come() -> None:
    retries = {"attempts": 5, "backoff": "100ms", "factor": 1e100}
    one = scenario(
        rate="20/s",
        instances=2,
        slots=1,
        queue="instance",
        classes={"all": {"client_timeout": "50ms", "retries": retries}},
        clock={"horizon": "20s", "warm_up": "1s"},
    )
    assert has_fast_path(one)
    assert difference(one) is None


CONSTANT = {("Scenario", "rollcast"), ("Rollout", "rounding"), ("OwnRollout", "rounding")}
"""Keys that have only one value."""

ONE_WILL_DO = ("simulation.scenario.distributions", "simulation.scenario.traffic")
"""Modules with several kinds for one key (distributions, rates): one kind is enough to vary the key."""

NOT_IN_FILES = {"ServiceRollout", "Limits"}
"""Base classes of other models."""

READ_BEFORE = {"TraceRate"}
"""A trace reaches the engines as a rate table, like other rates."""


def test_the_generator_varies_every_key() -> None:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)

    def look(value: object) -> None:
        if isinstance(value, BaseModel):
            for name in type(value).model_fields:
                part = getattr(value, name)
                seen[type(value).__name__, name].add(repr(part))
                look(part)
        elif isinstance(value, dict):
            for part in value.values():
                look(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                look(part)

    @settings(
        max_examples=400,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios())
    def generate(one: Scenario) -> None:
        look(one)

    generate()
    for model in kinds_of(FileModel):
        if model.__name__ in NOT_IN_FILES | READ_BEFORE:
            continue
        least = 1 if model.__module__ in ONE_WILL_DO else 2
        for name in model.model_fields:
            if (model.__name__, name) not in CONSTANT:
                assert len(seen[model.__name__, name]) >= least, f"{model.__name__}.{name}"


def kinds_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Return all models of scenario files derived from a class."""
    for kind in model.__subclasses__():
        if kind.__module__.startswith("simulation."):
            yield kind
        yield from kinds_of(kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_kernel_is_noticed(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.mutants", name],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    by_path: dict[str, list[str]] = defaultdict(list)
    for case, answer in answers.items():
        by_path[case.split()[0]].append(answer)
    expected = {"fast", "general", "long-lived"} | ({"balanced"} if name in ON_BALANCED else set())
    assert set(by_path) == expected
    noticed = {case for case, found in by_path.items() if set(found) != {"None"}}
    assert noticed >= NOTICED.get(name, BOTH_PATHS)
    assert noticed or name == "none"
    assert not noticed or name != "none"
