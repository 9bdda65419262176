"""The arrays of the compiled engine, which the kernel reaches by their addresses.

The kernel sets ``tight`` in its header when an array is nearly full. `Memory.grow_if_tight` then makes
the array larger, between two events.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.kernel.timers import MARGIN


class Memory:
    """The arrays that the kernel's addresses point to."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._header = np.zeros(1, km.HEADER)
        self.address = int(self._header.ctypes.data)
        self.header: Any = self._header[0]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def own(self, name: str, array: NDArray[Any]) -> int:
        """Keep an array as long as this memory exists, and return the array's address."""
        self._arrays[name] = array
        return int(array.ctypes.data)

    def place(self, name: str, array: NDArray[Any]) -> None:
        """Keep an array, and write its address into the header field of the same name."""
        self.header[name] = self.own(name, array)

    def lengthen(self, name: str, size: int) -> int:
        """Make an array larger, the new part filled with zeros, and return its new address."""
        old = self._arrays[name]
        array = np.zeros(size, old.dtype)
        array[: len(old)] = old
        return self.own(name, array)

    def enlarge(self, name: str, size: int) -> None:
        """Make an array larger, and write its new address into the header field of the same name."""
        self.header[name] = self.lengthen(name, size)

    def clear(self) -> None:
        """Free all arrays."""
        self._arrays.clear()

    def grow_if_tight(self) -> None:
        """Make every array larger that has less room than the next event may need."""
        h, memory = self.header, self
        if not h["tight"]:
            return
        route_max, alive = int(h["route_max"]), int(h["alive"])
        needs = 4 * alive * route_max + 4 * MARGIN

        def grow(size: str, used: int, *names: str) -> None:
            while int(h[size]) - used < needs:
                h[size] = 2 * int(h[size])
            for name in names:
                if len(memory[name]) < int(h[size]):
                    memory.enlarge(name, int(h[size]))

        while int(h["attempt_cap"]) - alive < 2 * MARGIN:
            h["attempt_cap"] = 2 * int(h["attempt_cap"])
        if len(memory["attempts"]) < int(h["attempt_cap"]):
            memory.enlarge("attempts", int(h["attempt_cap"]))
            memory.enlarge("calls", int(h["attempt_cap"]) * route_max)
            memory.enlarge("scratch", int(h["attempt_cap"]) * route_max)
            memory.enlarge("next_wants", int(h["attempt_cap"]) * route_max)
        grow("timer_cap", int(h["timer_count"]), "timers", "heap")
        grow("node_cap", int(h["node_count"]), "nodes")
        grow("freed_cap", 0, "freed")
        grow("signal_cap", int(h["signal_count"]), "signals")
        grow("row_cap", int(h["row_count"]), "rows")
        for k, wheel in enumerate(memory["wheels"]):
            self._grow_wheel(wheel, f"entries {k}", needs)
        for k, lane in enumerate(memory["lanes"]):
            self._grow_ring(lane, f"lane {k}", ("entries", "first", "next", "mask"), needs)
        for k, kind in enumerate(memory["classes"]):
            if kind["budget"] >= 0:
                for part in ("sent", "retried"):
                    fields = (part, f"{part}_first", f"{part}_next", f"{part}_mask")
                    self._grow_ring(kind, f"{part} {k}", fields, needs)
        for k, service in enumerate(memory["services"]):
            most = max(int(memory["instances"]["connections"].max()), 0)
            while service["counts"] and service["level_cap"] - most < needs:
                service["level_cap"] *= 2
                leaves = rings(int(service["leaf_count"] + service["level_cap"]))
                old = memory[f"leaves {k}"]
                leaves[: len(old)] = old
                service["leaves"] = memory.own(f"leaves {k}", leaves)
            while service["keeps_log"] and service["log_cap"] - service["log_count"] < needs:
                service["log_cap"] *= 2
                service["log"] = memory.lengthen(f"log {k}", int(service["log_cap"]))
        h["tight"] = 0

    def _grow_wheel(self, wheel: Any, name: str, needs: int) -> None:
        cap = int(wheel["cap"])
        while cap - int(wheel["count"]) < needs:
            cap *= 2
        if cap > int(wheel["cap"]):
            wheel["cap"], wheel["entries"] = cap, self.lengthen(name, cap)

    def _grow_ring(
        self, record: Any, name: str, fields: tuple[str, str, str, str], needs: int
    ) -> None:
        address, first, following, mask = fields
        size = int(record[mask]) + 1
        begin, end = int(record[first]), int(record[following])
        if size - (end - begin) >= needs:
            return
        while size - (end - begin) < needs:
            size *= 2
        old = self[name]
        ring = np.zeros(size, old.dtype)
        indices = np.arange(begin, end)
        ring[indices & (size - 1)] = old[indices & (len(old) - 1)]
        record[address] = self.own(name, ring)
        record[mask] = size - 1


def rings(count: int) -> NDArray[Any]:
    """Return new leaves, each linked to itself only: a ring of one."""
    leaves = np.zeros(count, km.LEAF)
    leaves["load"] = math.inf
    leaves["before"] = leaves["after"] = np.arange(count)
    return leaves
