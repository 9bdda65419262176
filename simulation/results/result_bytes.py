"""Results as bytes, to be sent between processes and to be stored.

The bytes restore a `RunResult`, without its requests, to the last bit: a head with a header in JSON and
the losses, then the arrays as they are in memory. `pack` compresses both. Unlike a pickle, the bytes
hold no code, so a file of results from somebody else is safe to read.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from executor.plan.model import Step
from simulation.results.failures import Cause, Failure, FleetCounts, GuardFigure
from simulation.results.judged import Figures, Stretch
from simulation.results.losses import Losses
from simulation.results.packed_arrays import (
    PackedArrays,
    PackedMetrics,
    PackedSeries,
    array_bytes,
)
from simulation.results.run_result import SERIES, Ending, EngineName, RunResult, Waits
from simulation.results.states import StateIntervals

_LENGTH = struct.Struct("<I")


def pack(result: RunResult) -> bytes:
    """Return a result as compressed bytes, without its requests."""
    head = _compress(_head(result))
    return b"".join([_LENGTH.pack(len(head)), head, _compress(_arrays(result))])


def as_bytes(result: RunResult) -> bytes:
    """Return a result as uncompressed bytes, for callers that compress many results together."""
    head = _head(result)
    return b"".join([_LENGTH.pack(len(head)), head, _arrays(result)])


def unpack(packed: bytes) -> RunResult:
    """Return the result that `pack` was given; its arrays stay compressed until they are read.

    Raises:
        ValueError: The bytes are not those of a result.
    """
    try:
        head, arrays = _divide(packed)
        return _read_result(zlib.decompress(head), arrays, len(zlib.decompress(arrays)))
    except _NO_RESULT as error:
        raise ValueError(f"not a packed result: {error}") from None


def from_bytes(whole: bytes) -> RunResult:
    """Return the result that `as_bytes` was given; its arrays are kept compressed.

    Raises:
        ValueError: The bytes are not those of a result.
    """
    try:
        head, arrays = _divide(whole)
        return _read_result(head, _compress(arrays), len(arrays))
    except _NO_RESULT as error:
        raise ValueError(f"not a packed result: {error}") from None


_NO_RESULT = (zlib.error, struct.error, KeyError, IndexError, TypeError, ValueError)


def _compress(data: bytes) -> bytes:
    return zlib.compress(data, 1)


def _divide(whole: bytes) -> tuple[bytes, bytes]:
    """Return the first part, whose length stands before it, and the rest."""
    (length,) = _LENGTH.unpack_from(whole)
    end = _LENGTH.size + length
    return whole[_LENGTH.size : end], whole[end:]


def _arrays(result: RunResult) -> bytes:
    return array_bytes(result.series, result.states)


def _head(result: RunResult) -> bytes:
    """Return everything of a result but its arrays and its requests."""
    header = {
        "ended": result.ended,
        "settled_s": result.settled_s,
        "end_s": result.end_s,
        "requests": result.requests,
        "metrics": dict(result.metrics),
        "alone": None if result.alone == result.metrics else dict(result.alone),
        "bin_s": result.bin_s,
        "bins": len(result.series[SERIES[0]]),
        "states": len(result.states),
        "waits": None if result.waits is None else asdict(result.waits),
        "critical_path": result.critical_path,
        "failures": [asdict(failure) for failure in result.failures],
        "stopped_by": None if result.stopped_by is None else asdict(result.stopped_by),
        "engine": result.engine,
        "stretches": [asdict(stretch) for stretch in result.stretches],
        "control_metrics": None if result.control_metrics is None else dict(result.control_metrics),
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    losses = [column.astype("<i8").tobytes() for column in vars(result.losses).values()]
    return b"".join([_LENGTH.pack(len(text)), text, *losses])


def _read_result(head: bytes, packed_arrays: bytes, size: int) -> RunResult:
    """Return the result of a head and of compressed arrays, which were so many bytes before."""
    text, loss_bytes = _divide(head)
    header = json.loads(text, object_pairs_hook=_with_shared_keys)
    arrays = PackedArrays(packed_arrays, header.pop("bins"), header.pop("states"))
    if size != arrays.size:
        raise ValueError("the length is wrong")
    losses = np.frombuffer(loss_bytes, "<i8").astype(np.int64).reshape(len(fields(Losses)), -1)
    metrics = PackedMetrics(header.pop("metrics"))
    alone, control = header.pop("alone"), header.pop("control_metrics")
    waits, stopped_by = header.pop("waits"), header.pop("stopped_by")
    return RunResult(
        critical_path=tuple(header.pop("critical_path")),
        failures=tuple(_failure(data) for data in header.pop("failures")),
        stretches=tuple(_stretch(data) for data in header.pop("stretches")),
        stopped_by=None if stopped_by is None else _failure(stopped_by),
        ended=Ending(header.pop("ended")),
        engine=EngineName(header.pop("engine")),
        **header,
        metrics=metrics,
        alone=metrics if alone is None else PackedMetrics(alone),
        control_metrics=None if control is None else PackedMetrics(control),
        series=PackedSeries(arrays),
        states=StateIntervals(arrays.state_rows),
        losses=Losses(*losses),
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
