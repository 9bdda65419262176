"""Events and places for the waits of a rollout, lighter than SimPy's own conditions and resources."""

from __future__ import annotations

from collections import deque

import simpy


class FirstOf(simpy.Event):
    """An event that fires when the first of some events does.

    SimPy's `any_of` fires at the same moment, and takes four times as long: it also collects the values
    of the events.
    """

    def __init__(self, env: simpy.Environment, *events: simpy.Event) -> None:
        super().__init__(env)
        for event in events:
            if event.callbacks is None:
                self._fire(event)
            else:
                event.callbacks.append(self._fire)

    def _fire(self, event: simpy.Event) -> None:
        if self.triggered:
            return
        if event.ok:
            self.succeed()
        else:
            event.defused = True
            assert isinstance(event.value, Exception)
            self.fail(event.value)


class Places:
    """A number of places, which waiting processes get in the order of their requests."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self._env = env
        self._free_count = count
        self._requests: deque[simpy.Event] = deque()

    def request(self) -> simpy.Event:
        """Return an event that fires when the caller gets a place."""
        request = simpy.Event(self._env)
        if self._free_count:
            self._free_count -= 1
            request.succeed()
        else:
            self._requests.append(request)
        return request

    def release(self) -> None:
        """Give a place back."""
        if self._requests:
            self._requests.popleft().succeed()
        else:
            self._free_count += 1
