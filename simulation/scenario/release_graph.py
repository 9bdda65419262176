"""The order of a release as a directed graph: its cycles, an order, and the critical path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx


def release_graph(before: Mapping[str, Sequence[str]]) -> nx.DiGraph[str]:
    """Return a graph with an edge from each service to those that wait for it.

    Args:
        before: The services that roll out, each with those that must be done before it.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(before)
    graph.add_edges_from((first, name) for name, firsts in before.items() for first in firsts)
    return graph


def cycle_of(graph: nx.DiGraph[str]) -> list[str]:
    """Return services that wait for each other in a cycle, the first again at the end; or none."""
    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return []
    return [*(edge[0] for edge in edges), edges[0][0]]


def in_order(graph: nx.DiGraph[str]) -> list[str]:
    """Return the services so that each follows those before it, otherwise in the order of the graph."""
    if len(graph) == 1:
        return list(graph)
    place = {name: k for k, name in enumerate(graph)}
    return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def critical_chain(graph: nx.DiGraph[str], ended_s: Mapping[str, float]) -> list[str]:
    """Return the critical path: services, first to last, each of which waited for the one before."""
    if not ended_s:
        return []
    chain = [max(ended_s, key=ended_s.__getitem__)]
    while waited_for := list(graph.predecessors(chain[0])):
        chain.insert(0, max(waited_for, key=ended_s.__getitem__))
    return chain
