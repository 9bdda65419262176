"""The shipped scenarios give the expected answers, and the schemas are up to date."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from studio.resources import assets_dir, scenarios_dir
from tests import update_expected


def assert_close(found: Any, expected: Any, where: str = "") -> None:
    """Assert equality; floats may differ by the rounding of `exp` and `log` on other processors."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_close(found[index], value, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), where
    else:
        assert found == expected, where


@pytest.mark.slow
@pytest.mark.parametrize("name", update_expected.scenario_names())
def test_a_shipped_scenario_gives_its_expected_answer(name: str) -> None:
    expected = json.loads(update_expected.expected_path(name).read_text(encoding="utf-8"))
    comparison = update_expected.compare_shipped(name)
    assert_close(update_expected.summary(comparison), expected)
    if name == "checkout-evening":  # the twin of the trial on the World Cup trace
        assert_window_decides(comparison.to_json())


def assert_window_decides(answer: dict[str, Any]) -> None:
    """Assert that a wider window is faster, and that one is worse for users than the baseline beyond chance."""
    durations = [one["metrics"]["rollout_duration_s"]["mean"] for one in answer["candidates"]]
    assert durations == sorted(durations, reverse=True)
    assert len(set(durations)) == len(durations)
    p99 = [difference["rollout_latency_p99_s"]["low"] for difference in answer["differences"]]
    errors = [difference["rollout_error_fraction"]["low"] for difference in answer["differences"]]
    assert max(p99 + errors) > 0


@pytest.mark.parametrize("name", update_expected.SCHEMAS)
def test_the_schemas_are_up_to_date(name: str) -> None:
    written = (assets_dir() / name).read_text(encoding="utf-8")
    assert written == update_expected.as_text(update_expected.SCHEMAS[name]())


@pytest.mark.parametrize("name", update_expected.scenario_names())
def test_the_schema_accepts_the_shipped_scenarios(name: str) -> None:
    data = YAML(typ="safe").load((scenarios_dir() / f"{name}.yaml").read_text(encoding="utf-8"))
    schema = update_expected.SCHEMAS["scenario.schema.json"]()
    jsonschema.validate(data, schema)
    assert data["name"] == name
    assert data["question"].endswith("?")
