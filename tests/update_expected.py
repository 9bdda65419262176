"""Regenerate the files that tests compare with: schemas, summaries of scenarios, the first start.

``./rollcast update-expected`` runs this module and shows the changes. An unintended change is a defect;
an intended one is committed with its reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from executor.base.files import atomic_write_text, write_beside
from executor.events import events_schema
from executor.fleet.inventory import inventory_schema
from executor.plan.file import plan_schema
from executor.plan.model import PLAN_2
from simulation.scenario.file import ScenarioFile, scenario_schema
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.compare import Comparison
from simulation.study.driver import run_study
from simulation.study.execution import DEFAULT_EXECUTION
from studio.lessons.first_run import pack_comparison, results_path
from studio.resources import EXAMPLE, assets_dir, scenarios_dir
from tests import studio_page

FIGURES = (
    "rollout_duration_s",
    "rollout_latency_p50_s",
    "rollout_latency_p99_s",
    "rollout_error_fraction",
    "lowest_in_pool_count",
    "cut_requests",
    "exposure_requests",
)
"""Metrics that a summary contains of each candidate."""

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "scenario.schema.json": scenario_schema,
    "plan.schema.json": plan_schema,
    "plan-2.schema.json": partial(plan_schema, PLAN_2),
    "inventory.schema.json": inventory_schema,
    "events.schema.json": events_schema,
}


def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in scenarios_dir().glob("*.yaml"))


def compare_shipped(name: str) -> Comparison:
    """Compare the default windows of a shipped scenario, as the bare command does."""
    scenario = ScenarioFile.load(scenarios_dir() / f"{name}.yaml").scenario
    cases = cases_of(scenario, default_windows(scenario).windows)
    comparison, _rows = run_study(scenario, cases, DEFAULT_EXECUTION)
    assert comparison is not None
    return comparison


def summary(comparison: Comparison) -> dict[str, Any]:
    """Return the figures of a comparison that a change of the model would change."""
    data = comparison.to_json()
    return {
        "scenario": data["scenario"],
        "scenario_digest": data["scenario_digest"],
        "replications": data["replications"],
        "candidates": [
            {
                "window": one["candidate"]["window"],
                "requests": one["requests"],
                "means": {name: one["metrics"][name]["mean"] for name in FIGURES},
                "answer": one["verdict"]["answer"],
                "runs_meeting": one["verdict"]["runs_meeting"],
            }
            for one in data["candidates"]
        ],
        "front": data["front"],
        "chosen": data["chosen"],
    }


def expected_path(name: str) -> Path:
    """Return the path of a shipped scenario's summary."""
    return scenarios_dir() / "expected" / f"{name}.json"


def as_text(data: dict[str, Any]) -> str:
    """Return JSON as it is written in the files."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write every schema, every summary, the tables of the docs, and the results of the first start."""
    for name, schema in SCHEMAS.items():
        atomic_write_text(assets_dir() / name, as_text(schema()))
    page = studio_page.PAGE
    atomic_write_text(page, studio_page.fill_tables(page.read_text(encoding="utf-8")))
    for name in scenario_names():
        path = expected_path(name)
        path.parent.mkdir(exist_ok=True)
        atomic_write_text(path, as_text(summary(compare_shipped(name))))
        print(f"{name}: {path.name} is written", file=sys.stderr)
    with write_beside(results_path()) as beside:
        beside.write_bytes(pack_comparison(compare_shipped(EXAMPLE.removesuffix(".yaml"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
