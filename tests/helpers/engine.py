"""An engine with requests that arrive at times that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simulation.engines.reference.calls import Call
from simulation.engines.reference.engine import ReferenceEngine
from simulation.engines.reference.station import Station
from simulation.requests.arrivals import Streams
from simulation.requests.draws import Draws
from simulation.requests.plane import SimulatedClock
from simulation.results.run_result import OUTCOMES, RequestTable
from simulation.scenario.model import Scenario
from tests.helpers.scenarios import scenario


class Script(Streams):
    """Requests that a test lists: arrival times, and seconds of service at each service of the route."""

    def __init__(self, one: Scenario, requests: Sequence[tuple[Any, ...]]) -> None:
        longest = max(len(route) for route in one.demands())
        rows = [(*row, *(0, 0)[: 4 - len(row)]) for row in requests]
        rows.append((np.inf, 0.0, 0, 0))
        self._block = (
            np.array([row[0] for row in rows], dtype=float),
            np.array([np.resize(row[1], longest) for row in rows], dtype=float),
            np.array([row[2] for row in rows], dtype=np.int64),
            np.array([row[3] for row in rows], dtype=np.int64),
        )

    def next_block(self) -> Any:
        return self._block


class Bench:
    """An engine under test: ``requests`` are ``(arrival_s, demand_s, class, session)``.

    Demands of a route are a list; class and session are 0 when left out.
    """

    def __init__(
        self, requests: Sequence[tuple[Any, ...]], one: Scenario | None = None, **parts: Any
    ) -> None:
        self.scenario = one or scenario(**{"instances": 1, "slots": 1, **parts})
        self.env = SimulatedClock(initial_time=0.0)
        script = Script(self.scenario, requests)
        self.engine = ReferenceEngine(self.env, self.scenario, script, Draws(1, 0))

    def station(self, name: str = "") -> Station:
        """Return the station of a service, by default of the first one."""
        plane = self.engine.plane(name or self.scenario.service_name)
        assert isinstance(plane, Station)
        return plane

    def run(self, until_s: float) -> RequestTable:
        """Simulate until a moment. Return the requests; control events of that moment come later."""
        self.env.run(until=until_s)
        return self.engine.table()

    def outcomes(self) -> list[str]:
        """Return the outcome of each request so far."""
        table = self.engine.table()
        return [(*OUTCOMES, "in_flight")[code] for code in table.outcome]

    def finishes(self) -> list[float]:
        """Return when each request ended, in s, in the order of arrival; NaN for those in flight."""
        times: list[float] = self.engine.table().finish_s.round(9).tolist()
        return times

    def instances(self) -> list[int]:
        """Return the instance number of each request, −1 for none."""
        numbers: list[int] = self.engine.table().instance.tolist()
        return numbers

    def calls(self) -> list[Call]:
        """Return every call."""
        return self.engine._calls
