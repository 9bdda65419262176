"""The arrays of the compiled engine, which the kernel reaches by their addresses.

The kernel sets ``tight`` in its header when an array is nearly full. `Memory.grow_if_tight` then makes
the array larger, between two events.
"""

from __future__ import annotations

import math
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.kernel.timers import MARGIN
from simulation.results.tally import BUCKETS

Bytes = NDArray[np.uint8]

_BY_BIN = "bin_latencies"


class Memory:
    """The arrays that the kernel's addresses point to."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._header = np.zeros(1, km.HEADER)
        self.address = int(self._header.ctypes.data)
        self.header: Any = self._header[0]
        self._first_arrays: dict[str, NDArray[Any]] = {}
        self._contents: list[tuple[Bytes, Bytes | None]] = []

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def own(self, name: str, array: NDArray[Any]) -> int:
        """Keep an array as long as this memory exists, and return the array's address."""
        self._arrays[name] = array
        return int(array.ctypes.data)

    def field(self, name: str) -> Any:
        """Return a view of one number of the header: far faster than numpy's access to a record."""
        return self._header[name].data

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
        self._first_arrays.clear()
        self._contents.clear()

    def remember(self) -> None:
        """Keep the present contents, so that `restore` can bring them back after a run.

        The counts by bin and bucket, which are zeros, are too large for a copy: `restore` is told where
        counts were added.
        """
        self._first_arrays = dict(self._arrays)
        views = [
            array.reshape(-1).view(np.uint8)
            for name, array in [("", self._header), *self._arrays.items()]
            if name != _BY_BIN and array.size
        ]
        self._contents = [(view, view.copy() if view.any() else None) for view in views]

    def restore(self, bins: int) -> None:
        """Bring the contents back that `remember` kept, after a run that counted in so many bins.

        Arrays that were made larger meanwhile are freed.
        """
        used = np.flatnonzero(self["latencies"]["count"])
        if len(used):
            by_bin = self[_BY_BIN]["v"].reshape(-1, BUCKETS)
            by_bin[:bins, used[0] : used[-1] + 1] = 0
        self._arrays = dict(self._first_arrays)
        for view, content in self._contents:
            view[...] = 0 if content is None else content

    def kept_bytes(self, bins: int) -> int:
        """Return how much of the machine's memory is taken up between runs that count in so many bins."""
        return sum(len(view) for view, _ in self._contents) + bins * BUCKETS * 4

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
        self._grow_log("losses", "loss_cap", "loss_count")
        self._grow_log("late", "late_cap", "late_count")
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

    def _grow_log(self, name: str, cap: str, count: str) -> None:
        """Make room for more entries than there are attempts: one event may end them all."""
        h = self.header
        while int(h[cap]) - int(h[count]) < 2 * (int(h["attempt_cap"]) + MARGIN):
            h[cap] = 2 * int(h[cap])
        if len(self[name]) < int(h[cap]):
            self.enlarge(name, int(h[cap]))

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


def zeros_on_demand(count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros of which only the pages that are used take memory, whatever was freed before.

    NumPy's own zeros do so only as long as the C library takes large arrays from the system. It
    takes them from its heap, and clears them whole, once an array of their size was freed.
    """
    return np.frombuffer(mmap(-1, count * dtype.itemsize), dtype)


def rings(count: int) -> NDArray[Any]:
    """Return new leaves, each linked to itself only: a ring of one."""
    leaves = np.zeros(count, km.LEAF)
    leaves["load"] = math.inf
    leaves["before"] = leaves["after"] = np.arange(count)
    return leaves
