"""Which service is rolled when: the release as a directed graph, and its longest chain.

Enters: the services that are rolled, each with those that must be done before it. Leaves: a graph,
its cycle by name if it has one, and the chain that determined when all were done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx


def release_graph(before: Mapping[str, Sequence[str]]) -> nx.DiGraph[str]:
    """An edge from each service to those that wait for it."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(before)
    graph.add_edges_from((first, name) for name, firsts in before.items() for first in firsts)
    return graph


def cycle_of(graph: nx.DiGraph[str]) -> list[str]:
    """The services that wait for each other, the first again at the end; empty when none do."""
    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return []
    return [*(edge[0] for edge in edges), edges[0][0]]


def in_order(graph: nx.DiGraph[str]) -> list[str]:
    """Every service after those that must be done before it, as they are listed otherwise."""
    place = {name: k for k, name in enumerate(graph)}
    return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def critical_chain(graph: nx.DiGraph[str], ended_s: Mapping[str, float]) -> list[str]:
    """The services, first to last, each of which began when the one before it was done."""
    if not ended_s:
        return []
    chain = [max(ended_s, key=ended_s.__getitem__)]
    while waited_for := list(graph.predecessors(chain[0])):
        chain.insert(0, max(waited_for, key=ended_s.__getitem__))
    return chain
