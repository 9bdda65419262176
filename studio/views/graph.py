"""Graphs of a rollout with their layout: the order of the services, and the waves of a plan.

A `Drawing` has nodes and edges in places of a grid, with the critical path marked.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import networkx as nx

from executor.plan.model import Gate, Plan
from simulation.results.run_result import RunResult
from simulation.results.states import State
from simulation.scenario.model import Scenario
from simulation.scenario.release_graph import critical_chain, release_graph
from studio.views.candidate.endings import stop_text
from studio.views.figures_text import (
    drain_text,
    duration_text,
    instances_text,
    latency_text,
    percent_text,
)

Kind = Literal["service", "instance", "gate", "end"]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return names without their common beginning, where that ends at a mark: ``01`` for ``web-01``."""
    first, last = (min(names), max(names)) if len(names) > 1 else ("", "")
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(letter for letter, _ in same)
    cut = max(common.rfind(mark) for mark in "-._/ ") + 1
    return {name: name[cut:] or name for name in names}


@dataclass(frozen=True)
class Node:
    """A box of the graph.

    Attributes:
        key: The box's key.
        title: The name in the box.
        under: A few words below the name.
        about: The details, in words.
        column: The column, from 0 at the left.
        row: The row, from 0 at the top; halves lie between two rows.
        is_critical: True for a box on the critical path.
        is_failed: True for an instance whose replacement did not end in the run that is shown.
    """

    key: str
    kind: Kind
    title: str
    under: str
    about: str
    column: int
    row: float
    is_critical: bool = False
    is_failed: bool = False


@dataclass(frozen=True)
class Edge:
    """An arrow: ``then`` begins after ``first``."""

    first: str
    then: str
    is_critical: bool = False


@dataclass(frozen=True)
class Drawing:
    """A graph with its layout.

    Attributes:
        critical: The critical path in words; empty where it is not known.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    critical: str = ""


@dataclass(frozen=True)
class OutageInterval:
    """The time in which an instance was away in a run, in seconds from the rollout's start.

    Attributes:
        end_s: The time at which it was back, or gone for good; None if it never was.
        ended: The state at the end: ``serving``, ``absent``, or ``failed`` and the like.
    """

    begin_s: float
    end_s: float | None
    ended: str


def typical_run(runs: Sequence[RunResult]) -> RunResult | None:
    """Return the run whose rollout took the median time of those that ended; the first if none ended."""
    ended = [run for run in runs if run.metrics["rollout_duration_s"] is not None]
    if not ended:
        return runs[0] if runs else None
    ended.sort(key=lambda run: run.metrics["rollout_duration_s"] or 0.0)
    return ended[(len(ended) - 1) // 2]


def spells(scenario: Scenario, service: str, run: RunResult) -> dict[str, OutageInterval]:
    """Return the time away of each instance of a service that was rolled, by its name."""
    first, names = scenario.first_number(service), scenario.names_of(service)
    last = first + len(names)
    begun: dict[str, float] = {}
    ended: dict[str, tuple[float | None, str]] = {}
    for interval in run.states:
        if not first <= interval.instance < last or interval.state is State.CRASHED:
            continue
        name = names[interval.instance - first]
        if interval.state in (State.SERVING, State.ABSENT):
            if name in begun:
                ended[name] = (interval.begin_s, interval.state.value)
            continue
        begun.setdefault(name, interval.begin_s)
        ended[name] = (None, interval.state.value)
    return {name: OutageInterval(begin_s, *ended[name]) for name, begin_s in begun.items()}


def release_drawing(scenario: Scenario, run: RunResult | None = None) -> Drawing:
    """Return the graph of the services: their order, instances and durations.

    Args:
        scenario: The scenario with the release.
        run: The run that gives times and critical path; None where nothing is simulated.
    """
    graph = release_graph(scenario.release_order())
    times = {} if run is None else {name: _service_times(scenario, name, run) for name in graph}
    path = () if run is None else run.critical_path
    nodes = []
    for name, (column, row) in _places(graph).items():
        count, window = scenario.services[name].instance_count, scenario.window_count(name)
        begin_s, end_s = times.get(name, (None, None))
        took = None if begin_s is None or end_s is None else end_s - begin_s
        firsts = list(graph.predecessors(name))
        facts = [
            f"{name}: {instances_text(count)}, {window} at once",
            f"begins after {', '.join(firsts)}" if firsts else "begins at once",
        ]
        if took is not None:
            facts.append(f"takes {duration_text(took)} in a typical run")
        elif run is not None:
            facts.append("was not begun" if begin_s is None else _unfinished_words(run))
        if name in path:
            facts.append("on the critical path")
        under = instances_text(count) + ("" if took is None else f" · {duration_text(took)}")
        nodes.append(
            Node(name, "service", name, under, "; ".join(facts), column, row, name in path)
        )
    steps = {(path[k], path[k + 1]) for k in range(len(path) - 1)}
    edges = tuple(Edge(service, other, (service, other) in steps) for service, other in graph.edges)
    return Drawing(tuple(nodes), edges, _chain_words(path, run))


def _unfinished_words(run: RunResult) -> str:
    """Return why an instance of a service is still away at the end of a run."""
    words = stop_text(run)
    return f"was {words}" if words else "went on without the instances that failed"


def _service_times(
    scenario: Scenario, service: str, run: RunResult
) -> tuple[float | None, float | None]:
    intervals = spells(scenario, service, run).values()
    begin_s = min((interval.begin_s for interval in intervals), default=None)
    if not intervals or any(interval.end_s is None for interval in intervals):
        return begin_s, None
    return begin_s, max(interval.end_s for interval in intervals if interval.end_s is not None)


def _places(graph: nx.DiGraph[str]) -> dict[str, tuple[int, float]]:
    """Return column and row of each service: a column for each generation, rows near their predecessors."""
    places: dict[str, tuple[int, float]] = {}
    columns = [list(names) for names in nx.topological_generations(graph)]
    highest = max((len(names) for names in columns), default=0)
    for column, names in enumerate(columns):
        rows = {
            name: [places[first][1] for first in graph.predecessors(name)] or [0.0]
            for name in names
        }
        names.sort(key=lambda name: sum(rows[name]) / len(rows[name]))
        top = (highest - len(names)) / 2
        places |= {name: (column, top + row) for row, name in enumerate(names)}
    return places


def waves_drawing(plan: Plan, timed: Mapping[str, OutageInterval] | None = None) -> Drawing:
    """Return the graph of a plan's instances: lanes as wide as each wave, gates between the waves.

    An instance waits for the instance whose place in the window it takes: the first to be done makes
    room for the next one.

    Args:
        plan: The plan.
        timed: The time away of each instance in a typical run; None where nothing is simulated.
    """
    timed = _with_replacements(plan, timed or {})
    graph: nx.DiGraph[str] = nx.DiGraph()
    places: dict[str, tuple[int, float]] = {}
    gates: dict[str, tuple[int, Gate | None]] = {}
    widest = max(min(wave.parallel + plan.surge, len(wave.instances)) for wave in plan.waves)
    column, before = 0, list[str]()
    for number, wave in enumerate(plan.waves, start=1):
        lanes = min(wave.parallel + plan.surge, len(wave.instances))
        order = sorted(
            wave.instances, key=lambda name: timed[name].begin_s if name in timed else float("inf")
        )
        placed = _lanes(order, lanes, timed)
        for name, (depth, lane, waits_for) in placed.items():
            places[name] = (column + depth, (widest - lanes) / 2 + lane)
            graph.add_node(name)
            graph.add_edges_from((one, name) for one in ([waits_for] if waits_for else before))
        column += 1 + max(depth for depth, _, _ in placed.values())
        lasts = [name for name in placed if graph.out_degree(name) == 0]
        if wave is plan.waves[-1]:
            break
        gate = f"gate {number}"
        gates[gate] = (number, wave.gate)
        places[gate] = (column, (widest - 1) / 2)
        graph.add_edges_from((name, gate) for name in lasts)
        column, before = column + 1, [gate]
    path = _critical(graph, timed, gates)
    titles = short_names(plan.instances)
    wave_of = {name: k for k, wave in enumerate(plan.waves, 1) for name in wave.instances}
    nodes = [
        _gate_node(name, *gates[name], places[name], name in path)
        if name in gates
        else _instance_node(
            plan,
            name,
            timed,
            title=titles[name],
            number=wave_of[name],
            place=places[name],
            is_critical=name in path,
        )
        for name in graph
    ]
    steps = {(path[k], path[k + 1]) for k in range(len(path) - 1)}
    edges = tuple(Edge(one, other, (one, other) in steps) for one, other in graph.edges)
    end_s = max((one.end_s for one in timed.values() if one.end_s is not None), default=None)
    through = [name for name in path if name not in gates]
    shown = [*through[:1], *(titles[name] for name in through[1:])]
    words = f"{_through(shown)}, {duration_text(end_s)}" if through else ""
    return Drawing(tuple(nodes), edges, words)


def _with_replacements(
    plan: Plan, timed: Mapping[str, OutageInterval]
) -> dict[str, OutageInterval]:
    """Return each instance's time away, together with that of its replacement beside it."""
    merged = {}
    for name in plan.instances:
        both = [timed[key] for key in (name, f"{name}-new") if key in timed]
        if both:
            ends_s = [interval.end_s for interval in both]
            merged[name] = OutageInterval(
                min(interval.begin_s for interval in both),
                None if None in ends_s else max(end_s for end_s in ends_s if end_s is not None),
                next(
                    (interval.ended for interval in both if interval.end_s is None), both[-1].ended
                ),
            )
    return merged


def _lanes(
    order: Sequence[str], lanes: int, timed: Mapping[str, OutageInterval]
) -> dict[str, tuple[int, int, str | None]]:
    """Return for each instance its depth, its lane, and the instance whose place it takes."""
    lanes_of: dict[str, tuple[int, int, str | None]] = {}
    free: list[str] = []  # begun, their places not yet taken by another
    for place, name in enumerate(order):
        if place < lanes:
            lanes_of[name] = (0, place, None)
        else:
            free.sort(key=lambda candidate: _done_s(timed, candidate))
            first = free.pop(0)
            lanes_of[name] = (lanes_of[first][0] + 1, lanes_of[first][1], first)
        free.append(name)
    return lanes_of


def _done_s(timed: Mapping[str, OutageInterval], name: str) -> float:
    """Return the time at which an instance was done; infinity if it never was, 0 where none is timed."""
    end_s = timed[name].end_s if name in timed else None
    return (float("inf") if timed else 0.0) if end_s is None else end_s


def _critical(
    graph: nx.DiGraph[str],
    timed: Mapping[str, OutageInterval],
    gates: Mapping[str, tuple[int, Gate | None]],
) -> list[str]:
    """Return the chain of instances that determined the end; empty where the rollout did not end."""
    ended = {name: one.end_s for name, one in timed.items() if one.end_s is not None}
    if any(name not in ended for name in graph if name not in gates):
        return []
    for gate in gates:
        ended[gate] = max(ended[name] for name in graph.predecessors(gate))
    return critical_chain(graph, ended)


def _instance_node(
    plan: Plan,
    name: str,
    timed: Mapping[str, OutageInterval],
    *,
    title: str,
    number: int,
    place: tuple[int, float],
    is_critical: bool,
) -> Node:
    facts = [f"{name}: wave {number} of {len(plan.waves)}"]
    under, spell = "", timed.get(name)
    if spell is not None and spell.end_s is not None:
        under = duration_text(spell.end_s - spell.begin_s)
        verb = "replaced" if plan.replacement == "beside" else "out"
        facts.append(
            f"{verb} from {duration_text(spell.begin_s)} to {duration_text(spell.end_s)} in a typical "
            f"run, {under}"
        )
    elif spell is not None:
        under = f"✗ {spell.ended}"
        facts.append(f"taken out at {duration_text(spell.begin_s)}, at the end {spell.ended}")
    elif timed:
        under = "not begun"
        facts.append("was not begun in this run")
    if is_critical:
        facts.append("on the critical path")
    is_failed = spell is not None and spell.end_s is None
    return Node(name, "instance", title, under, "; ".join(facts), *place, is_critical, is_failed)


def _gate_node(
    key: str, number: int, gate: Gate | None, place: tuple[int, float], is_critical: bool
) -> Node:
    if gate is None:
        about = f"Wave {number} is done before the next begins"
        return Node(key, "gate", "then", "", about, *place, is_critical)
    title = f"{gate.kind} {drain_text(gate.pause_s)}"
    return Node(key, "gate", title, "", gate_words(number, gate), *place, is_critical)


def gate_words(number: int, gate: Gate) -> str:
    """Return the gate after a wave as a sentence."""
    if gate.kind == "pause":
        return f"After wave {number} it pauses for {drain_text(gate.pause_s)}"
    limits = [
        *(
            [f"errors {percent_text(gate.error_fraction)}"]
            if gate.error_fraction is not None
            else []
        ),
        *([f"p99 {latency_text(gate.latency_p99_s)}"] if gate.latency_p99_s is not None else []),
    ]
    limits_text = f", at most {' and '.join(limits)}" if limits else ""
    return f"After wave {number} the new version bakes for {drain_text(gate.pause_s)}{limits_text}"


_MOST_NAMED = 6


def _through(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return " → ".join(names)
    return f"{names[0]} → {names[1]} → … {len(names) - 3} more … → {names[-1]}"


def _chain_words(path: Sequence[str], run: RunResult | None) -> str:
    if not path or run is None:
        return ""
    return f"{_through(path)}, {duration_text(run.metrics['rollout_duration_s'])}"
