"""The arrays of the compiled engine, which the kernel knows by their addresses.

The kernel says when one of them is nearly full (`tight`); it is made larger here, between two events.
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
        """Keeps an array as long as the memory lives; says where it is."""
        self._arrays[name] = array
        return int(array.ctypes.data)

    def place(self, name: str, array: NDArray[Any]) -> None:
        """Keeps an array whose address stands in the header, by its name."""
        self.header[name] = self.own(name, array)

    def lengthen(self, name: str, size: int) -> int:
        """Makes an array larger; what is new is zero. Says where it is."""
        old = self._arrays[name]
        array = np.zeros(size, old.dtype)
        array[: len(old)] = old
        return self.own(name, array)

    def enlarge(self, name: str, size: int) -> None:
        """The same of an array whose address stands in the header."""
        self.header[name] = self.lengthen(name, size)

    def clear(self) -> None:
        """Lets go of all arrays."""
        self._arrays.clear()

    def grow_if_tight(self) -> None:
        """Makes everything larger of which there is less than the next event may take."""
        h, memory = self.header, self
        if not h["tight"]:
            return
        route_max, alive = int(h["route_max"]), int(h["alive"])
        needs = 4 * alive * route_max + 4 * MARGIN

        def larger(size: str, used: int, *names: str) -> None:
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
        larger("timer_cap", int(h["timer_count"]), "timers", "heap")
        larger("node_cap", int(h["node_count"]), "nodes")
        larger("freed_cap", 0, "freed")
        larger("signal_cap", int(h["signal_count"]), "signals")
        larger("row_cap", int(h["row_count"]), "rows")
        for k, wheel in enumerate(memory["wheels"]):
            self._larger_wheel(wheel, f"entries {k}", needs)
        for k, lane in enumerate(memory["lanes"]):
            self._larger_ring(lane, f"lane {k}", ("entries", "first", "next", "mask"), needs)
        for k, kind in enumerate(memory["classes"]):
            if kind["budget"] >= 0:
                for part in ("asked", "again"):
                    fields = (part, f"{part}_first", f"{part}_next", f"{part}_mask")
                    self._larger_ring(kind, f"{part} {k}", fields, needs)
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

    def _larger_wheel(self, wheel: Any, name: str, needs: int) -> None:
        cap = int(wheel["cap"])
        while cap - int(wheel["count"]) < needs:
            cap *= 2
        if cap > int(wheel["cap"]):
            wheel["cap"], wheel["entries"] = cap, self.lengthen(name, cap)

    def _larger_ring(
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
    """Leaves that are each a ring of their own."""
    leaves = np.zeros(count, km.LEAF)
    leaves["load"] = math.inf
    leaves["before"] = leaves["after"] = np.arange(count)
    return leaves
