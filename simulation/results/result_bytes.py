"""Results as bytes, to be sent between processes and to be stored.

The bytes restore a `RunResult`, without its requests, to the last bit: a header in JSON, then the
arrays as they are in memory. `pack` compresses the whole. Unlike a pickle, the bytes hold no code, so
a file of results from somebody else is safe to read.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executor.plan.model import Step
from simulation.results.failures import Cause, Failure, FleetCounts, GuardFigure
from simulation.results.judged import Figures, Stretch
from simulation.results.losses import Losses
from simulation.results.run_result import SERIES, Ending, EngineName, RunResult, Waits
from simulation.results.states import INTERVAL, StateIntervals

_LENGTH = struct.Struct("<I")


def pack(result: RunResult) -> bytes:
    """Return a result as compressed bytes, without its requests."""
    return zlib.compress(as_bytes(result), 1)


def as_bytes(result: RunResult) -> bytes:
    """Return a result as uncompressed bytes, for callers that compress many results together."""
    header = {
        "ended": result.ended,
        "settled_s": result.settled_s,
        "end_s": result.end_s,
        "requests": result.requests,
        "metrics": result.metrics,
        "alone": None if result.alone == result.metrics else result.alone,
        "bin_s": result.bin_s,
        "bins": len(result.series[SERIES[0]]),
        "states": len(result.states),
        "losses": len(result.losses.count),
        "waits": None if result.waits is None else asdict(result.waits),
        "critical_path": result.critical_path,
        "failures": [asdict(failure) for failure in result.failures],
        "stopped_by": None if result.stopped_by is None else asdict(result.stopped_by),
        "engine": result.engine,
        "stretches": [asdict(stretch) for stretch in result.stretches],
        "control_metrics": result.control_metrics,
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    series = np.array([result.series[name] for name in SERIES], "<f8")
    rows = result.states.rows
    # Column by column: this compresses better.
    columns = [rows[name].tobytes() for name in INTERVAL.names or ()]
    columns += [column.astype("<i8").tobytes() for column in vars(result.losses).values()]
    return b"".join([_LENGTH.pack(len(text)), text, series.tobytes(), *columns])


def unpack(packed: bytes) -> RunResult:
    """Return the result that `pack` was given.

    Raises:
        ValueError: The bytes are not those of a result.
    """
    try:
        return from_bytes(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(f"not a packed result: {error}") from None


def from_bytes(whole: bytes) -> RunResult:
    """Return the result that `as_bytes` was given.

    Raises:
        ValueError: The bytes are not those of a result.
    """
    try:
        return _read_result(whole)
    except (struct.error, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"not a packed result: {error}") from None


def _read_result(whole: bytes) -> RunResult:
    (length,) = _LENGTH.unpack_from(whole)
    place = _LENGTH.size + length
    header = json.loads(whole[_LENGTH.size : place], object_pairs_hook=_with_shared_keys)
    bins, count = header.pop("bins"), header.pop("states")
    series = np.frombuffer(whole, "<f8", len(SERIES) * bins, place).reshape(len(SERIES), bins)
    place += series.nbytes
    rows = np.empty(count, INTERVAL)
    for name in INTERVAL.names or ():
        column: NDArray[Any] = np.frombuffer(whole, INTERVAL[name], count, place)
        rows[name] = column
        place += column.nbytes
    loss_count = header.pop("losses")
    losses = np.frombuffer(whole, "<i8", len(fields(Losses)) * loss_count, place).astype(np.int64)
    place += losses.nbytes
    if place != len(whole):
        raise ValueError("the length is wrong")
    alone, waits = header.pop("alone"), header.pop("waits")
    stopped_by = header.pop("stopped_by")
    return RunResult(
        critical_path=tuple(header.pop("critical_path")),
        failures=tuple(_failure(data) for data in header.pop("failures")),
        stretches=tuple(_stretch(data) for data in header.pop("stretches")),
        stopped_by=None if stopped_by is None else _failure(stopped_by),
        ended=Ending(header.pop("ended")),
        engine=EngineName(header.pop("engine")),
        **header,
        alone=header["metrics"] if alone is None else alone,
        series={name: series[row].astype(np.float64) for row, name in enumerate(SERIES)},
        states=StateIntervals(rows),
        losses=Losses(*losses.reshape(len(fields(Losses)), loss_count)),
        waits=None if waits is None else Waits(**waits),
    )


def _with_shared_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a dictionary whose keys all results have in common: they are as large as the values."""
    return {sys.intern(key): value for key, value in pairs}


def _stretch(data: dict[str, Any]) -> Stretch:
    arms = ("rollout", "control", "new_version")
    figures = {
        arm: None
        if data[arm] is None
        else {name: Figures(**values) for name, values in data[arm].items()}
        for arm in arms
    }
    return Stretch(**{**data, **figures})


def _failure(data: dict[str, Any]) -> Failure:
    step, figure, counts = data["step"], data["figure"], data["counts"]
    return Failure(
        **{
            **data,
            "cause": Cause(data["cause"]),
            "step": None if step is None else Step(step),
            "figure": None if figure is None else GuardFigure(figure),
            "counts": None if counts is None else FleetCounts(**counts),
        }
    )
