"""What sources said → a scenario that simulates, with the basis of every value beside it.

Enters: combined `Findings`. Leaves: a `ScenarioDraft`: the scenario's text, the files that it names, and
how durations were fitted. What no source says is assumed here, in one place, by stated rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text
from simulation.importers.commented import Tree, safe_key, with_comments
from simulation.importers.findings import Durations, Finding, Findings, ServiceFindings
from simulation.importers.fitting import KEPT_COUNT, FitChoice, choose, seconds_text
from simulation.importers.series import Series
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.units import parse_duration_s

USED_FRACTION = 0.6
"""How busy a fleet is assumed to be at its peak, where its size is not known."""
IDLE_FRACTION = 0.5
"""How busy it is assumed to be, where the traffic is not known."""
SERVICE_TIME = {"mean": "100ms", "cv": 1}
SLOTS = 4
MOST_INSTANCES = 24
"""A fleet whose size is not known is assumed no larger: its instances get more slots instead."""
FEWEST_FITTED = 20
"""Fewer durations than these are not fitted by a family."""
WARM_UP_S = 600.0
"""What a simulation may need before its start."""

_ASSUMED: dict[str, tuple[Any, str]] = {
    "steps.stop": ("1s", "assumed: how long a process takes to end; time one"),
    "steps.deploy": ({"mean": "10s", "cv": 0.3}, "assumed: copying, or pulling an image; time one"),
    "steps.start": ({"mean": "5s", "cv": 0.5}, "assumed: until it answers its checks; time one"),
}
_ASSUMED_ROLLOUT: dict[str, tuple[Any, str]] = {
    "window": ("25%", "assumed: put in what your tool is set to; compare tries others"),
    "drain.timeout": ("30s", "assumed: put in what your tool is set to"),
}
_SERVICE_ORDER = (
    *("instances", "slots", "service_time"),
    *(f"balancer.{key}" for key in ("policy", "queue", "propagation_delay", "health_check")),
    *(f"steps.{key}" for key in ("stop", "deploy", "verify", "start", "return")),
)
_ROLLOUT_ORDER = (
    *("strategy", "replacement", "window", "surge", "min_healthy", "min_ready"),
    *("drain.timeout", "drain.poll", "pre_stop", "stop.grace"),
)


@dataclass(frozen=True)
class ScenarioDraft:
    """A scenario and what belongs to it.

    Attributes:
        text: The scenario, commented.
        files: Texts by the names that the scenario gives them.
        choices: How the durations of each service were fitted.
        notes: What a reader should know besides.
    """

    text: str
    files: Mapping[str, str]
    choices: Mapping[str, FitChoice] = field(compare=False)
    notes: tuple[str, ...]

    def scenario(self) -> Scenario:
        """What it says, read as any scenario file is.

        Raises:
            BadInput: It breaks a rule.
        """
        with TemporaryDirectory() as folder:
            for name, text in self.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            return ScenarioFile.parse(self.text, Path(folder) / "scenario.yaml").scenario

    def write(self, path: Path) -> list[Path]:
        """Writes the scenario and its files beside it, none over another; returns them.

        Raises:
            BadInput: One is there already, or cannot be written.
        """
        paths = [*(path.parent / name for name in self.files), path]
        for one in paths:
            if one.exists():
                raise BadInput(f"{one}: exists already, it is not written over")
        written: list[Path] = []
        try:
            for one, text in zip(paths, [*self.files.values(), self.text], strict=True):
                atomic_write_text(one, text)
                written.append(one)
        except BadInput:
            for one in written:
                one.unlink(missing_ok=True)
            raise
        return [path, *paths[:-1]]


@dataclass(eq=False)
class _Part:
    """A service while it is drafted."""

    name: str
    found: ServiceFindings
    time: Any = None
    time_basis: str = ""
    mean_s: float = 0.0
    p99_s: float = 0.0
    choice: FitChoice | None = None
    share: float = 1.0


def draft(findings: Findings, sources: Sequence[str], stem: str) -> ScenarioDraft:
    """The scenario for what was found.

    Args:
        findings: Of all sources together.
        sources: Each with its kind, for the comment at the top.
        stem: What the files beside the scenario begin with.

    Raises:
        BadInput: What the sources say makes no scenario.
    """
    notes, files = list(findings.notes), dict[str, str]()
    names = _keys(findings.services)
    parts = [_Part(names[name], found) for name, found in findings.services.items()]
    for part in parts:
        _service_time(part, stem, files)
    traffic = _Traffic.of(parts)
    for part in parts:
        _size(part, traffic, notes)
    plain = _text(parts, traffic, None, sources, notes)
    result = ScenarioDraft(
        plain, files, {p.name: p.choice for p in parts if p.choice}, tuple(notes)
    )
    series = traffic.series
    if series is None:
        return result
    needed_s = _needed_s(result.scenario(), parts)
    start_s = series.busiest_start_s(WARM_UP_S, needed_s)
    if start_s is None or not series.is_a_trace():
        longest = max(high - low for low, high in series.stretches())
        traffic = replace(
            traffic,
            basis=f"{traffic.basis}. Its longest stretch without a gap, "
            f"{longest * series.step_s:g} s, is too short for a rollout of up to "
            f"{needed_s:.0f} s: the mean over what is known stands here instead of a trace",
        )
        return replace(result, text=_text(parts, traffic, None, sources, notes))
    trace = f"{stem}-rate.csv"
    text = _text(parts, traffic, (trace, start_s, needed_s), sources, notes)
    files = {trace: series.trace_text(), **files}
    return replace(result, text=text, files=files)


def _keys(names: Mapping[str, object]) -> dict[str, str]:
    """Names as keys: two that come to the same are numbered."""
    keys: dict[str, str] = {}
    for name in names:
        key, number = safe_key(name), 2
        while key in keys.values():
            key, number = f"{safe_key(name)}-{number}", number + 1
        keys[name] = key
    return keys


# ------------------------------------------------------------------- durations


def _service_time(part: _Part, stem: str, files: dict[str, str]) -> None:
    told = part.found.service_time
    if told is None:
        basis = "assumed: no source says how long a request takes; put in yours"
        told = Finding(SERVICE_TIME, basis, 0, "")
    if not isinstance(told.value, Durations):
        part.time, part.time_basis = told.value, told.basis
        mean = parse_duration_s(told.value["mean"])
        sigma2 = math.log1p(float(told.value["cv"]) ** 2)
        part.mean_s = mean
        part.p99_s = mean * math.exp(2.3263 * math.sqrt(sigma2) - sigma2 / 2)
        return
    samples_s = told.value.samples_s
    if len(samples_s) < FEWEST_FITTED:
        part.mean_s, cv = float(samples_s.mean()), float(samples_s.std() / samples_s.mean())
        part.p99_s = float(samples_s.max())
        part.time = {"mean": seconds_text(part.mean_s), "cv": float(f"{cv:.4g}")}
        part.time_basis = (
            f"{told.value.basis}: their mean and spread; assumed: lognormal, since fewer than "
            f"{FEWEST_FITTED} tell no family\n{told.value.caveat}"
        ).strip()
        return
    choice = choose(samples_s)
    part.choice, part.mean_s, part.p99_s = choice, choice.mean_s, choice.quantile_s(0.99)
    basis = f"{told.value.basis}; "
    if choice.chosen is not None:
        part.time = choice.chosen.value
        basis += f"{choice.chosen.family}: {choice.reason}"
    else:
        name = f"{stem}-{part.name}-times.txt"
        kept = choice.kept_s()
        files[name] = "".join(f"{seconds_text(one)}\n" for one in kept.tolist())
        part.time = {"empirical": name}
        basis += f"{choice.reason}, so they stand for themselves"
        if len(choice.samples_s) > KEPT_COUNT:
            basis += f", as {KEPT_COUNT:,} means of neighbours"
    part.time_basis = f"{basis}\n{told.value.caveat}".strip()


# --------------------------------------------------------------------- traffic


@dataclass(frozen=True, eq=False)
class _Traffic:
    """What comes in all.

    Attributes:
        series: Over time; None where only a mean is known, or nothing.
        mean_rps: In the mean; NaN where nothing is known.
        peak_rps: At its peak; NaN where nothing is known.
        basis: For the comment.
        shares_basis: For the comment of the classes.
    """

    series: Series | None
    mean_rps: float
    peak_rps: float
    basis: str
    shares_basis: str

    @classmethod
    def of(cls, parts: Sequence[_Part]) -> _Traffic:
        """The sum over the services, each of which learns its share."""
        arrivals = [part.found.arrivals for part in parts]
        told = [one for one in arrivals if one is not None]
        if not told:
            for part in parts:
                part.share = 1 / len(parts)
            return cls(None, math.nan, math.nan, "", "assumed: no source says who gets how much")
        total = sum(one.mean_rps for one in told)
        if not total > 0:
            files = ", ".join(dict.fromkeys(one.source for one in told))
            raise BadInput(f"{files}: holds no traffic: its rate is 0")
        for part, one in zip(parts, arrivals, strict=True):
            part.share = (one.mean_rps if one else 0.0) / total
        basis = "; ".join(dict.fromkeys(one.basis for one in told))
        if len(told) > 3:
            basis = f"{told[0].basis}; and likewise of {len(told) - 1} others"
        all_series = [one.series for one in told if one.series is not None]
        shares = f"measured: shares of what came, in {told[0].source}"
        steps = {(one.step_s, one.first, len(one.counts)) for one in all_series}
        if len(all_series) < len(told) or len(steps) > 1:  # nothing to be added up step by step
            return cls(None, total, total, basis, shares)
        counts = np.sum([one.counts for one in all_series], axis=0)
        series = replace(all_series[0], counts=counts)
        return cls(series, series.mean_rps, series.peak_rps, basis, shares)


def _size(part: _Part, traffic: _Traffic, notes: list[str]) -> None:
    """How many instances with how many slots, where no source says it."""
    keys = part.found.service
    instances, slots = keys.get("instances"), keys.get("slots")
    count = None if instances is None else _count(instances.value)
    peak_rps = traffic.peak_rps * part.share
    if math.isnan(peak_rps):
        if slots is None:
            basis = "assumed: how many requests one instance serves at once; put in yours"
            keys["slots"] = Finding(SLOTS, basis, 0, "")
        return
    work = peak_rps * part.mean_s / USED_FRACTION
    sized = (
        f"assumed: so that the fleet is {USED_FRACTION:.0%} busy at the peak of {peak_rps:.4g}/s; "
        "put in yours"
    ).replace("%", " %")
    if slots is None:
        least = SLOTS if count is None else 1
        slots = Finding(max(least, math.ceil(work / (count or MOST_INSTANCES))), sized, 0, "")
        keys["slots"] = slots
    elif slots.weight == 0 and count is not None and slots.value * count < work * USED_FRACTION:
        keys["slots"] = slots = replace(slots, value=math.ceil(work / count), basis=sized)
    if count is None:
        keys["instances"] = Finding(max(2, math.ceil(work / slots.value)), sized, 0, "")
    else:
        busy = peak_rps * part.mean_s / (count * slots.value)
        if busy >= 1:
            notes.append(
                f"{part.name}: {count} instances of {slots.value} slots are asked {busy:.0%} at the "
                "peak: what was measured and what was stated or assumed do not go "
                "together".replace("%", " %")
            )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


def _needed_s(scenario: Scenario, parts: Sequence[_Part]) -> float:
    """What a rollout takes at most, generously: every drain to its end, every step at its p99."""
    total = 60.0 + 2 * max(part.p99_s for part in parts)
    for name, service in scenario.services.items():
        rule = scenario.rule(name)
        assert rule is not None
        check = service.balancer.health_check
        one_s = rule.drain.timeout + rule.pre_stop + rule.min_ready
        one_s += sum(duration.quantile_s(0.99) for _, duration in service.steps.in_order())
        one_s += 0.0 if check is None else (check.rise + 1) * check.interval
        waves = math.ceil(service.instance_count / scenario.window_count(name))
        total += waves * one_s
    return total


# ------------------------------------------------------------------------ text


def _text(
    parts: Sequence[_Part],
    traffic: _Traffic,
    trace: tuple[str, float, float] | None,
    sources: Sequence[str],
    notes: Sequence[str],
) -> str:
    root: Tree = {}
    if trace is not None:
        assert traffic.series is not None
        root["clock.start"] = _start(traffic.series, trace[1], trace[2])
    root["traffic.rate"] = _rate(parts, traffic, trace)
    if len(parts) > 1:
        root |= _classes(parts, traffic.shares_basis)
    several = len(parts) > 1
    for part in parts:
        keys = dict(part.found.service)
        keys["service_time"] = Finding(part.time, part.time_basis, 0, "")
        for key, (value, basis) in _ASSUMED.items():
            keys.setdefault(key, Finding(value, basis, 0, ""))
        for key in _ordered(keys, _SERVICE_ORDER):
            root[f"services.{part.name}.{key}"] = keys[key]
        if several:
            for key in _ordered(part.found.rollout, _ROLLOUT_ORDER):
                root[f"services.{part.name}.rollout.{key}"] = part.found.rollout[key]
    rollout = {} if several else dict(parts[0].found.rollout)
    at_once = rollout.get("strategy") is not None
    for key, (value, basis) in _ASSUMED_ROLLOUT.items():
        if not (at_once and key == "window"):
            rollout.setdefault(key, Finding(value, basis, 0, ""))
    for key in _ordered(rollout, _ROLLOUT_ORDER):
        root[f"rollout.{key}"] = rollout[key]
    limit_s = _round_up(2 * max(part.p99_s for part in parts))
    root["objectives.error_fraction"] = Finding(
        "0.1%", "assumed: what you promise; no source says it", 0, ""
    )
    root["objectives.latency_p99"] = Finding(
        seconds_text(limit_s), "assumed: twice the p99 of the service time; what you promise", 0, ""
    )
    head = [
        f"Imported from {', '.join(sources)}.",
        "measured: counted or timed there. stated: a configuration says so. assumed: no source "
        "says it; put in your own figure.",
        *notes,
    ]
    return with_comments(head, {"rollcast": "scenario/1",
                                "question": "How wide a window can this fleet afford?"}, root)  # fmt: skip


def _classes(parts: Sequence[_Part], shares_basis: str) -> Tree:
    """A class for each service: who calls whom no source says."""
    called = (
        "assumed: each service is called from outside; where one calls another, say "
        "route: [the first, the second]"
    )
    found: Tree = {}
    for part in parts:
        value: dict[str, Any] = {"share": f"{100 * part.share:.6g}%", "route": [part.name]}
        if part is parts[-1]:
            del value["share"]  # what the others leave
        basis = f"{shares_basis}\n{called}" if part is parts[0] else ""
        found[f"traffic.classes.{part.name}"] = Finding(value, basis, 0, "")
    return found


def _ordered(keys: Mapping[str, Finding], order: Sequence[str]) -> list[str]:
    return sorted(keys, key=lambda key: order.index(key) if key in order else len(order))


def _start(series: Series, start_s: float, needed_s: float) -> Finding:
    basis = (
        f"assumed: the worst case, the busiest {needed_s:.0f} s of the data, as long as the rollout "
        "may take; compare tries others with --starts"
    )
    if series.first is None:
        return Finding(f"{start_s:.15g}s", basis, 0, "")
    when = (series.first + timedelta(seconds=start_s)).replace(tzinfo=None)
    return Finding(str(when), basis, 0, "")


def _rate(
    parts: Sequence[_Part], traffic: _Traffic, trace: tuple[str, float, float] | None
) -> Finding:
    if trace is not None:
        assert traffic.series is not None
        basis = traffic.basis
        gaps = traffic.series.gap_count
        if gaps:
            basis += f". {gaps} gaps are left open: a run that meets one is refused"
        return Finding({"trace": trace[0]}, basis, 0, "")
    if math.isfinite(traffic.mean_rps):
        return Finding(f"{traffic.mean_rps:.4g}/s", traffic.basis, 0, "")
    rate = sum(
        IDLE_FRACTION * _count(p.found.service["instances"].value)
        * p.found.service["slots"].value / p.mean_s
        for p in parts
    ) if all("instances" in p.found.service for p in parts) else None  # fmt: skip
    if rate is None:
        work = MOST_INSTANCES // 4 * SLOTS * IDLE_FRACTION
        rate = sum(work / p.mean_s for p in parts)
        for p in parts:
            basis = "assumed: no source says how many instances there are; put in yours"
            p.found.service.setdefault("instances", Finding(MOST_INSTANCES // 4, basis, 0, ""))
    basis = (
        f"assumed: no source tells the traffic; this keeps the fleet {IDLE_FRACTION:.0%} busy. Put in "
        "yours, or import a log beside these files"
    ).replace("%", " %")
    return Finding(f"{rate:.4g}/s", basis, 0, "")


def _round_up(seconds: float) -> float:
    """To two digits, upwards: a limit that reads like one."""
    size = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.ceil(seconds / size - 1e-9) * size
