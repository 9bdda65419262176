"""The scenario's traffic for the lab: the same draws that a simulation would send.

Enters: a scenario and the number of a replication. Leaves: the schedule for `studio.lab.load`.
Replications from `FIRST_REPLICATION` on are the lab's, so that no forecast has seen its traffic.
"""

from __future__ import annotations

import numpy as np

from simulation.requests.draws import Draws
from simulation.run import arrivals_of
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from studio.lab.load import Schedule

FIRST_REPLICATION = 1_000_000
"""The number of the lab's first run; a study has its own from 0 on."""


def frame_in_lab(scenario: Scenario, warm_up_s: float) -> SimulatedInterval:
    """The scenario's frame with the lab's own warm-up."""
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
    """What is sent in one run.

    Args:
        scenario: Whose traffic.
        run: The number of the run, from 0.
        port: Where it is sent, on 127.0.0.1.
        zero_s: When the rollout starts, on the machine's monotonic clock.
        warm_up_s: So long before that the traffic begins.
        until_s: So long after that it ends.
        persistent: Whether clients keep their connections.
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
    timeouts = [one.client_timeout for one in scenario.traffic.classes.values()]
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
