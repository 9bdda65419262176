"""Memory of runs that are over, kept for other replications of the same case.

To lay out a scenario again takes as long as some thousand requests, and so does memory that the system
must first provide page by page.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from simulation.engines.compiled.layout import lay_out, lay_out_draws
from simulation.engines.compiled.memory import Memory
from simulation.requests.draws import Draws
from simulation.requests.identity import Same
from simulation.scenario.model import Scenario

_MOST_BYTES = 64_000_000
"""Maximum size of all memory that is kept, in bytes; the oldest is freed first."""


@dataclass(frozen=True)
class Layout:
    """The key of the layout of a run: arguments of `engines.compiled.engine.CompiledEngine`."""

    scenario: Same[Scenario]
    now_s: float
    bin_s: float
    horizon_s: float
    keep_requests: bool


class UsedMemory:
    """Memory by layout; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, tuple[Layout, Memory, int]] = OrderedDict()
        self._bytes = 0

    def take(self, layout: Layout, draws: Draws) -> Memory:
        """Return memory in which a scenario is laid out, with the draws of a replication."""
        memory = self._pop(layout)
        scenario = layout.scenario.value
        if memory is None:
            memory = Memory()
            lay_out(
                memory,
                scenario,
                now_s=layout.now_s,
                bin_s=layout.bin_s,
                horizon_s=layout.horizon_s,
                keep_requests=layout.keep_requests,
            )
            memory.remember()
        lay_out_draws(memory, scenario, draws)
        return memory

    def keep(self, layout: Layout, memory: Memory, bins: int) -> None:
        """Keep the memory of a run that is over and counted in so many bins, unless it is too large."""
        size = memory.kept_bytes(bins)
        if size > _MOST_BYTES:
            memory.clear()
            return
        memory.restore(bins)
        with self._lock:
            self._kept[id(memory)] = (layout, memory, size)
            self._bytes += size
            while self._bytes > _MOST_BYTES:
                _, (_, oldest, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
                oldest.clear()

    def _pop(self, layout: Layout) -> Memory | None:
        with self._lock:
            for number, (own_layout, memory, size) in self._kept.items():
                if own_layout == layout:
                    del self._kept[number]
                    self._bytes -= size
                    return memory
        return None


USED_MEMORY = UsedMemory()
"""The memory that this process keeps."""
