"""Compressed arrays of a run, and its metrics without objects: kept until somebody reads them.

A study of hundreds of candidates keeps ten thousands of results at once, of which few are ever drawn.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.results.run_result import METRICS, SERIES
from simulation.results.states import INTERVAL, IntervalRows, StateIntervals
from simulation.scenario.units import Floats


@dataclass(frozen=True)
class PackedArrays:
    """The series and the states of a run, as `array_bytes` writes them, compressed.

    Attributes:
        packed: The compressed bytes.
        bins: Number of bins of each series.
        states: Number of intervals of states.
    """

    packed: bytes
    bins: int
    states: int

    @property
    def size(self) -> int:
        """Number of bytes of the arrays when they are not compressed."""
        return self._series_bytes + self.states * INTERVAL.itemsize

    def series(self, place: int) -> Floats:
        """Return a series, shape (bins,), by its place in `SERIES`."""
        whole = zlib.decompress(self.packed)
        return np.frombuffer(whole, "<f8", self.bins, place * self.bins * 8).astype(np.float64)

    def state_rows(self) -> IntervalRows:
        """Return the intervals of states as `INTERVAL` records."""
        whole, place = zlib.decompress(self.packed), self._series_bytes
        rows = np.empty(self.states, INTERVAL)
        for name in INTERVAL.names or ():
            column: np.ndarray[Any, Any] = np.frombuffer(whole, INTERVAL[name], self.states, place)
            rows[name] = column
            place += column.nbytes
        return rows

    @property
    def _series_bytes(self) -> int:
        return len(SERIES) * self.bins * 8


def array_bytes(series: Mapping[str, Floats], states: StateIntervals) -> bytes:
    """Return the arrays of a run one after the other, the states by column: this compresses better."""
    rows = states.rows
    columns = [rows[name].tobytes() for name in INTERVAL.names or ()]
    return b"".join([np.array([series[name] for name in SERIES], "<f8").tobytes(), *columns])


class PackedSeries(Mapping[str, Floats]):
    """The series of a run by name, decompressed whenever one is read."""

    __slots__ = ("_arrays",)

    def __init__(self, arrays: PackedArrays) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> Floats:
        return self._arrays.series(_SERIES_PLACES[name])

    def __iter__(self) -> Iterator[str]:
        return iter(SERIES)

    def __len__(self) -> int:
        return len(SERIES)


class PackedMetrics(Mapping[str, float | None]):
    """The metrics of a run by name, as one array: NaN for None."""

    __slots__ = ("_values",)

    def __init__(self, metrics: Mapping[str, float | None]) -> None:
        self._values = np.array([metrics[name] for name in METRICS], np.float64)

    def __getitem__(self, name: str) -> float | None:
        value = float(self._values[_METRIC_PLACES[name]])
        return None if math.isnan(value) else value

    def __iter__(self) -> Iterator[str]:
        return iter(METRICS)

    def __len__(self) -> int:
        return len(METRICS)


_SERIES_PLACES = {name: place for place, name in enumerate(SERIES)}
_METRIC_PLACES = {name: place for place, name in enumerate(METRICS)}
