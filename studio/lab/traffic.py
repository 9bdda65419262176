"""The scenario's traffic for the lab: the same draws that a simulation would send.

Replications from `FIRST_REPLICATION` on belong to the lab, so that no forecast was made with their traffic.
"""

from __future__ import annotations

import numpy as np

from simulation.requests.draws import Draws
from simulation.run import arrivals_of
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from studio.lab.load import Schedule

FIRST_REPLICATION = 1_000_000
"""The number of the lab's first replication; the replications of a study begin at 0."""


def frame_in_lab(scenario: Scenario, warm_up_s: float) -> SimulatedInterval:
    """Return the scenario's simulated interval with the lab's own warm-up."""
    frame = frame_of([scenario])
    return SimulatedInterval(warm_up_s, frame.horizon_s, frame.exact, frame.bin_s)


def schedule_for(
    scenario: Scenario,
    run: int,
    *,
    port: int,
    zero_s: float,
    warm_up_s: float,
    until_s: float,
    persistent: bool = True,
) -> Schedule:
    """Return the requests of one run.

    Args:
        scenario: The scenario with the traffic.
        run: The number of the run, from 0.
        port: The load balancer's port, on 127.0.0.1.
        zero_s: Start of the rollout on the machine's monotonic clock, in seconds.
        warm_up_s: Length of the traffic before the start, in seconds.
        until_s: Length of the traffic after the start, in seconds.
        persistent: True when clients keep their connections.
    """
    replication = FIRST_REPLICATION + run
    draws = Draws(scenario.seed, replication)
    arrivals = arrivals_of(scenario, frame_in_lab(scenario, warm_up_s), replication, draws)
    assert not hasattr(arrivals, "client_count")  # closed loops are refused before
    times: list[float] = []
    demands: list[float] = []
    classes: list[int] = []
    while not times or times[-1] <= until_s:
        block, demand, kind, _ = arrivals.next_block()
        some = np.isfinite(block)
        times += block[some].tolist()
        demands += demand[some, 0].tolist()
        classes += kind[: len(block)][some].tolist()
        if not some.all():
            break
    count = int(np.searchsorted(np.array(times), until_s, side="right"))
    timeouts = [traffic_class.client_timeout for traffic_class in scenario.traffic.classes.values()]
    balancer = scenario.service.balancer
    return Schedule(
        port=port,
        zero_s=zero_s,
        arrivals_s=tuple(times[:count]),
        demands_s=tuple(demands[:count]),
        classes=tuple(classes[:count]),
        timeouts_s=tuple(timeouts[kind] for kind in classes[:count]),
        persistent=persistent,
        queue_timeout_s=balancer.queue_timeout,
    )
