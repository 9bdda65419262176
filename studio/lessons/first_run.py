"""The results of the shipped example, simulated beforehand, for the very first start.

Figures are exact. The data of charts are rounded, so that the file is small: series to eleven binary digits
(a part in four thousand), the times of states to 1/128 s.
"""

from __future__ import annotations

import gc
import json
import lzma
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from executor.base.canonical_json import digest_of
from simulation.results.result_bytes import as_bytes, from_bytes
from simulation.results.run_result import RunResult
from simulation.results.states import StateIntervals
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats
from simulation.study.case import Case
from simulation.study.compare import Comparison, compare
from simulation.study.confirmation import confirm_best
from simulation.study.control import controls_of
from simulation.study.rows import Row
from simulation.study.statistics.number_of_runs import planned_runs
from studio.resources import assets_dir

_SCHEMA = "rollcast.results/2"
_LENGTH = struct.Struct("<I")
_BITS = 11
_TICKS_PER_S = 128


def results_path() -> Path:
    """Return the file with the results of the example."""
    return assets_dir() / "first-run.rollcast-results"


def pack_comparison(comparison: Comparison) -> bytes:
    """Return a comparison as few bytes; the data of charts are rounded."""
    runs = [result.runs for result in comparison.candidates]
    runs += [control.runs for control in comparison.controls]
    confirming = [run for confirmed in comparison.confirmations for run in confirmed.result.runs]
    header = {
        "schema": _SCHEMA,
        "scenario_digest": digest_of(comparison.scenario.as_data()),
        "windows": [result.candidate.window for result in comparison.candidates],
        "controls": len(comparison.controls),
        "replications": len(runs[0]),
    }
    parts = [
        json.dumps(header).encode(),
        *(as_bytes(_rounded(run)) for row in zip(*runs, strict=True) for run in row),
        *(as_bytes(_without_drawings(run)) for run in confirming),
    ]
    framed = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
    return lzma.compress(framed, preset=9)


def unpack_comparison(
    packed: bytes, scenario: Scenario, cases: Sequence[Case]
) -> Comparison | None:
    """Return the packed comparison; None when it is of another scenario or other candidates.

    Args:
        packed: The bytes from `pack_comparison`.
        scenario: The scenario that is open.
        cases: The cases that would be compared.

    Raises:
        ValueError: The bytes are not those of a comparison.
    """
    try:
        parts = _parts(lzma.decompress(packed))
        header = json.loads(next(parts))
        control_count = len(controls_of(cases).each)
        expected = {
            "schema": _SCHEMA,
            "scenario_digest": digest_of(scenario.as_data()),
            "windows": [case.candidate.window for case in cases],
            "controls": control_count,
            "replications": planned_runs(scenario, cases).count,
        }
        if header != expected:
            return None
        with _uncollected():
            runs = [from_bytes(part) for part in parts]
        width = len(cases) + control_count
        count = width * header["replications"]
        if len(runs) < count:
            raise ValueError("the number of runs is not the one in the header")
    except (lzma.LZMAError, struct.error, StopIteration, ValueError) as error:
        raise ValueError(f"not a packed comparison: {error}") from None
    rows = []
    for replication in range(header["replications"]):
        row = runs[replication * width : (replication + 1) * width]
        rows.append(Row(replication, tuple(row[: len(cases)]), controls=tuple(row[len(cases) :])))
    confirming = iter(runs[count:])

    def take_runs(case: Case) -> list[RunResult]:
        taken = list(islice(confirming, case.scenario.replications))
        if len(taken) != case.scenario.replications:
            raise ValueError("not a packed comparison: runs of a confirmation are missing")
        return taken

    return confirm_best(compare(scenario, cases, rows), take_runs)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Switch the garbage collector off: it would walk tens of thousands of new objects again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parts(framed: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(framed):
        (length,) = _LENGTH.unpack_from(framed, place)
        place += _LENGTH.size
        yield framed[place : place + length]
        place += length


def _rounded(run: RunResult) -> RunResult:
    states = (
        interval._replace(begin_s=_to_ticks(interval.begin_s), end_s=_to_ticks(interval.end_s))
        for interval in run.states
    )
    series = {name: _to_bits(values) for name, values in run.series.items()}
    return replace(run, states=StateIntervals.of(states), series=series)


def _without_drawings(run: RunResult) -> RunResult:
    """Return a run of a confirmation, of which no chart is drawn, without its series and states."""
    nothing = {name: values[:0] for name, values in run.series.items()}
    return replace(run, series=nothing, states=StateIntervals.of(()))


def _to_ticks(seconds: float) -> float:
    return round(seconds * _TICKS_PER_S) / _TICKS_PER_S


def _to_bits(values: Floats) -> Floats:
    mantissas, exponents = np.frexp(values)
    rounded: Floats = np.ldexp(np.round(mantissas * 2.0**_BITS) / 2.0**_BITS, exponents)
    return rounded
