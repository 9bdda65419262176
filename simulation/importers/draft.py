"""Drafting a scenario from merged findings, with the basis of every value as a comment.

A `ScenarioDraft` has the scenario's text, the files that it names, and the fits of its durations. All
assumptions about values that no source has are made in this module.
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
"""Assumed utilisation of a fleet at its peak, where its size is not known."""
IDLE_FRACTION = 0.5
"""Assumed utilisation of a fleet, where the traffic is not known."""
SERVICE_TIME = {"mean": "100ms", "cv": 1}
"""Assumed service time, where no source has one."""
SLOTS = 4
"""Assumed number of slots of an instance, where no source has it."""
MOST_INSTANCES = 24
"""Maximum assumed size of a fleet whose size is not known; its instances get more slots instead."""
FEWEST_FITTED = 20
"""Minimum number of durations to which families are fitted."""
WARM_UP_S = 600.0
"""Time of data that a simulation may need before its start, in seconds."""

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
    *("instance_order", "on_failure", "progress_deadline"),
    *("drain.timeout", "drain.poll", "pre_stop", "stop.grace"),
)


@dataclass(frozen=True)
class ScenarioDraft:
    """A drafted scenario with its files.

    Attributes:
        text: The text of the scenario, with comments.
        files: The texts of the files that the scenario names, by name.
        choices: The fit of the durations of each service.
        notes: Notes for the user.
    """

    text: str
    files: Mapping[str, str]
    choices: Mapping[str, FitChoice] = field(compare=False)
    notes: tuple[str, ...]

    def scenario(self) -> Scenario:
        """Return the scenario, parsed from the text as any scenario file is.

        Raises:
            BadInput: The text breaks a rule.
        """
        with TemporaryDirectory() as folder:
            for name, text in self.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            return ScenarioFile.parse(self.text, Path(folder) / "scenario.yaml").scenario

    def write(self, path: Path) -> list[Path]:
        """Write the scenario and, beside it, its files; return their paths.

        Raises:
            BadInput: One of the files exists already, or cannot be written.
        """
        paths = [*(path.parent / name for name in self.files), path]
        for target in paths:
            if target.exists():
                raise BadInput(f"{target}: exists already, it is not written over")
        written: list[Path] = []
        try:
            for target, text in zip(paths, [*self.files.values(), self.text], strict=True):
                atomic_write_text(target, text)
                written.append(target)
        except BadInput:
            for target in written:
                target.unlink(missing_ok=True)
            raise
        return [path, *paths[:-1]]


@dataclass(eq=False)
class _Part:
    """A service that is being drafted."""

    name: str
    findings: ServiceFindings
    time: Any = None
    time_basis: str = ""
    mean_s: float = 0.0
    p99_s: float = 0.0
    choice: FitChoice | None = None
    share: float = 1.0


def draft(findings: Findings, sources: Sequence[str], stem: str) -> ScenarioDraft:
    """Return the scenario for the merged findings.

    Args:
        findings: The merged findings of all sources.
        sources: The sources with their kinds, for the comment at the top.
        stem: The beginning of the names of the files beside the scenario.

    Raises:
        BadInput: The findings make no scenario.
    """
    notes, files = list(findings.notes), dict[str, str]()
    names = _keys(findings.services)
    parts = [_Part(names[name], service) for name, service in findings.services.items()]
    for part in parts:
        _set_service_time(part, stem, files)
    traffic = _Traffic.of(parts)
    for part in parts:
        _set_size(part, traffic, notes)
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
    """Return a key for each name; names with the same key are numbered."""
    keys: dict[str, str] = {}
    for name in names:
        key, number = safe_key(name), 2
        while key in keys.values():
            key, number = f"{safe_key(name)}-{number}", number + 1
        keys[name] = key
    return keys


# ------------------------------------------------------------------- durations


def _set_service_time(part: _Part, stem: str, files: dict[str, str]) -> None:
    """Set the service time of a part; add the file of an `empirical` distribution to ``files``."""
    finding = part.findings.service_time
    if finding is None:
        basis = "assumed: no source says how long a request takes; put in yours"
        finding = Finding(SERVICE_TIME, basis, 0, "")
    if not isinstance(finding.value, Durations):
        part.time, part.time_basis = finding.value, finding.basis
        mean = parse_duration_s(finding.value["mean"])
        sigma2 = math.log1p(float(finding.value["cv"]) ** 2)
        part.mean_s = mean
        part.p99_s = mean * math.exp(2.3263 * math.sqrt(sigma2) - sigma2 / 2)
        return
    samples_s = finding.value.samples_s
    if len(samples_s) < FEWEST_FITTED:
        part.mean_s, cv = float(samples_s.mean()), float(samples_s.std() / samples_s.mean())
        part.p99_s = float(samples_s.max())
        part.time = {"mean": seconds_text(part.mean_s), "cv": float(f"{cv:.4g}")}
        part.time_basis = (
            f"{finding.value.basis}: their mean and spread; assumed: lognormal, since fewer than "
            f"{FEWEST_FITTED} tell no family\n{finding.value.caveat}"
        ).strip()
        return
    choice = choose(samples_s)
    part.choice, part.mean_s, part.p99_s = choice, choice.mean_s, choice.quantile_s(0.99)
    basis = f"{finding.value.basis}; "
    if choice.chosen is not None:
        part.time = choice.chosen.value
        basis += f"{choice.chosen.family}: {choice.reason}"
    else:
        name = f"{stem}-{part.name}-times.txt"
        files[name] = "".join(f"{seconds_text(value)}\n" for value in choice.kept_s().tolist())
        part.time = {"empirical": name}
        basis += f"{choice.reason}, so they stand for themselves"
        if len(choice.samples_s) > KEPT_COUNT:
            basis += f", as {KEPT_COUNT:,} means of neighbours"
    part.time_basis = f"{basis}\n{finding.value.caveat}".strip()


# --------------------------------------------------------------------- traffic


@dataclass(frozen=True, eq=False)
class _Traffic:
    """The traffic of all services together.

    Attributes:
        series: The traffic over time; None where at most the mean is known.
        mean_rps: The mean rate, in requests per second; NaN where nothing is known.
        peak_rps: The peak rate, in requests per second; NaN where nothing is known.
        basis: The basis of the rate, for its comment.
        shares_basis: The basis of the shares of the classes, for their comment.
    """

    series: Series | None
    mean_rps: float
    peak_rps: float
    basis: str
    shares_basis: str

    @classmethod
    def of(cls, parts: Sequence[_Part]) -> _Traffic:
        """Return the sum over all services, and set the share of each."""
        arrivals = [part.findings.arrivals for part in parts]
        known = [own for own in arrivals if own is not None]
        if not known:
            for part in parts:
                part.share = 1 / len(parts)
            return cls(None, math.nan, math.nan, "", "assumed: no source says who gets how much")
        total = sum(own.mean_rps for own in known)
        if not total > 0:
            files = ", ".join(dict.fromkeys(own.source for own in known))
            raise BadInput(f"{files}: holds no traffic: its rate is 0")
        for part, own in zip(parts, arrivals, strict=True):
            part.share = (own.mean_rps if own else 0.0) / total
        basis = "; ".join(dict.fromkeys(own.basis for own in known))
        if len(known) > 3:
            basis = f"{known[0].basis}; and likewise of {len(known) - 1} others"
        all_series = [own.series for own in known if own.series is not None]
        shares = f"measured: shares of what came, in {known[0].source}"
        grids = {(series.step_s, series.first, len(series.counts)) for series in all_series}
        if len(all_series) < len(known) or len(grids) > 1:  # without one grid nothing adds up
            return cls(None, total, total, basis, shares)
        counts = np.sum([series.counts for series in all_series], axis=0)
        series = replace(all_series[0], counts=counts)
        return cls(series, series.mean_rps, series.peak_rps, basis, shares)


def _set_size(part: _Part, traffic: _Traffic, notes: list[str]) -> None:
    """Set the number of instances and of their slots, where no source has them."""
    keys = part.findings.service
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
    """Return a generous bound on a rollout's duration: drains up to their timeout, steps at p99."""
    total = 60.0 + 2 * max(part.p99_s for part in parts)
    for name, service in scenario.services.items():
        rule = scenario.rule(name)
        assert rule is not None
        check = service.balancer.health_check
        instance_s = rule.drain.timeout + rule.pre_stop + rule.min_ready
        instance_s += sum(duration.quantile_s(0.99) for _, duration in service.steps.in_order())
        instance_s += 0.0 if check is None else (check.rise + 1) * check.interval
        waves = math.ceil(service.instance_count / scenario.window_count(name))
        total += waves * instance_s
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
        keys = dict(part.findings.service)
        keys["service_time"] = Finding(part.time, part.time_basis, 0, "")
        for key, (value, basis) in _ASSUMED.items():
            keys.setdefault(key, Finding(value, basis, 0, ""))
        for key in _ordered(keys, _SERVICE_ORDER):
            root[f"services.{part.name}.{key}"] = keys[key]
        if several:
            for key in _ordered(part.findings.rollout, _ROLLOUT_ORDER):
                root[f"services.{part.name}.rollout.{key}"] = part.findings.rollout[key]
    rollout = {} if several else dict(parts[0].findings.rollout)
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
    """Return a class for each service; no source says which service calls which."""
    route_basis = (
        "assumed: each service is called from outside; where one calls another, say "
        "route: [the first, the second]"
    )
    classes: Tree = {}
    for part in parts:
        value: dict[str, Any] = {"share": f"{100 * part.share:.6g}%", "route": [part.name]}
        if part is parts[-1]:
            del value["share"]  # the last class gets the rest
        basis = f"{shares_basis}\n{route_basis}" if part is parts[0] else ""
        classes[f"traffic.classes.{part.name}"] = Finding(value, basis, 0, "")
    return classes


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
        IDLE_FRACTION * _count(p.findings.service["instances"].value)
        * p.findings.service["slots"].value / p.mean_s
        for p in parts
    ) if all("instances" in p.findings.service for p in parts) else None  # fmt: skip
    if rate is None:
        work = MOST_INSTANCES // 4 * SLOTS * IDLE_FRACTION
        rate = sum(work / p.mean_s for p in parts)
        for p in parts:
            basis = "assumed: no source says how many instances there are; put in yours"
            p.findings.service.setdefault("instances", Finding(MOST_INSTANCES // 4, basis, 0, ""))
    basis = (
        f"assumed: no source tells the traffic; this keeps the fleet {IDLE_FRACTION:.0%} busy. Put in "
        "yours, or import a log beside these files"
    ).replace("%", " %")
    return Finding(f"{rate:.4g}/s", basis, 0, "")


def _round_up(seconds: float) -> float:
    """Return the seconds rounded up to two digits, for a limit that is easy to read."""
    size = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.ceil(seconds / size - 1e-9) * size
