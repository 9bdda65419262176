"""Calibrations: the measured durations of rollouts, in JSON of the schema ``rollcast.calibration/1``.

``rollcast report --calibration`` and ``lab compare`` write them (docs/lab.md). They contain the
durations of the steps, the interval at which drains are polled, and the service time where a load
measured it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from executor.base.errors import BadInput
from executor.plan.model import STEPS, Step
from simulation.importers.findings import Finding, Findings, ServiceFindings
from simulation.importers.fitting import seconds_text
from simulation.importers.source import Source

KIND = "calibration of rollouts"
SCHEMA = "rollcast.calibration/1"
_WEIGHT = 4
"""The weight of a timed value: higher than those of manifests and counters."""
_CONSTANT_CV = 0.005
"""A duration with a lower coefficient of variation is taken as constant."""


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the beginning names the schema."""
    return any(f'"{SCHEMA}"' in line for line in head[:5])


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from a calibration.

    Raises:
        BadInput: The file is not of the schema, or has no step.
    """
    (source,) = sources
    name, data = source.path.name, source.json()
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise BadInput(f"{source.path}: schema: must be {SCHEMA}")
    service = ServiceFindings()
    steps_data = data.get("steps_s")
    steps: dict[str, Any] = steps_data if isinstance(steps_data, dict) else {}
    for step in (step for step in STEPS if step is not Step.TAKE_OUT):
        durations_s = _numbers(source, f"steps_s.{step}", steps.get(str(step)))
        if durations_s:
            basis = f"measured: {len(durations_s):,} times in {name}, from its begin to the next's"
            service.service[f"steps.{step}"] = Finding(_duration(durations_s), basis, _WEIGHT, name)
    if not service.service:
        raise BadInput(f"{source.path}: steps_s: holds no durations of a step")
    mean_s, poll_s = data.get("service_time_s"), data.get("poll_s")
    if _is_time(mean_s):
        basis = f"measured: the mean at low load in {name}; assumed: lognormal with cv 1"
        value = {"mean": seconds_text(mean_s), "cv": 1}
        service.service_time = Finding(value, basis, 1, name)
    if _is_time(poll_s):
        basis = f"measured: the time between two looks at a drain in {name}"
        service.rollout["drain.poll"] = Finding(seconds_text(poll_s), basis, _WEIGHT, name)
    findings = Findings(KIND, name, {str(data.get("service") or ""): service})
    drains_s = _numbers(source, "drains_s", data.get("drains_s"))
    if drains_s:
        findings.notes.append(
            f"the {len(drains_s):,} drains in {name} took {seconds_text(float(np.mean(drains_s)))} in "
            f"the mean and {seconds_text(max(drains_s))} at most"
        )
    flags = data.get("flags")
    findings.notes += [f"{name}: {flag}" for flag in flags] if isinstance(flags, list) else []
    return findings


def _numbers(source: Source, key: str, values: Any) -> list[float]:
    if values is None:
        return []
    if not isinstance(values, list) or not all(_is_time(value) for value in values):
        raise BadInput(f"{source.path}: {key}: must be a list of seconds, none below 0")
    return [float(value) for value in values]


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _duration(durations_s: Sequence[float]) -> Any:
    """Return a constant, or a lognormal with the mean and spread of the durations."""
    mean_s = float(np.mean(durations_s))
    cv = float(np.std(durations_s, ddof=1)) / mean_s if len(durations_s) > 1 and mean_s else 0.0
    if cv < _CONSTANT_CV:
        return seconds_text(mean_s)
    return {"mean": seconds_text(mean_s), "cv": round(cv, 3)}
