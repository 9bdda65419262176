"""Damaged files of every known kind: they are refused or read, and never give a figure without data."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from executor.base.errors import BadInput
from simulation.importers.findings import Durations, Findings
from simulation.importers.kinds import read_files
from simulation.importers.together import draft_scenario
from tests.helpers.paths import FIELD
from tests.helpers.request_logs import FORMATS, draw, write

FILES = sorted(path for path in FIELD.glob("*/*") if path.is_file())
TEXTS = {path.name: path.read_text() for path in FILES}
TEXTS |= {name: write(name, *draw(10.0, 0.1, 20, 5)) for name in FORMATS}
TEXTS["ingress"] = "".join(
    f'10.0.0.1 - - [01/May/2024:00:00:{k % 60:02d} +0000] "GET / HTTP/1.1" 200 12 "-" "curl" 120 '
    f"0.{k:03d} [shop-web-80] [] 10.0.0.7:8080 12 0.{k:03d} 200 abc\n"
    for k in range(1, 121)
)
TEXTS["table"] = "time,requests\n" + "".join(f"{60 * k},{100 + k}\n" for k in range(30))
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHORTEST_S, LONGEST_S, HIGHEST_RPS = 1e-6, 3600.0, 1e6


def read_or_refuse(folder: Path, content: bytes) -> list[Findings]:
    """Return the findings of a file, empty where it is refused; any other exception fails the test."""
    path = folder / "source"
    path.write_bytes(content)
    try:
        return read_files([path])
    except BadInput as refusal:
        text = str(refusal)
        assert "source" in text
        assert "\n" not in text
        return []


def must_be_measured(found: list[Findings]) -> None:
    """Check that every measured figure is finite, above 0, and from enough data."""
    for service in (one for source in found for one in source.services.values()):
        if service.arrivals is not None:
            assert 0 <= service.arrivals.mean_rps < HIGHEST_RPS
        time = service.service_time
        if time is not None and isinstance(time.value, Durations):
            samples_s = time.value.samples_s
            assert len(samples_s) >= 5
            assert np.isfinite(samples_s).all()
            assert samples_s.max() > 0
    for source in found:
        totals = [one.arrivals.mean_rps for one in source.services.values() if one.arrivals]
        assert not totals or sum(totals) > 0


def cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(1, len(text))]


def cut_at_both_ends(text: str, rng: random.Random) -> str:
    begin = rng.randrange(len(text) - 1)
    return text[begin : rng.randrange(begin + 1, len(text))]


def shuffle_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines()
    rng.shuffle(lines)
    return "\n".join(lines) + "\n"


def swap_fields(text: str, rng: random.Random) -> str:
    """Swap two places in all lines, as when a column was added or moved."""
    comma = "," if text.count(",") > text.count(" ") else " "
    rows = [line.split(comma) for line in text.splitlines()]
    width = max(2, min(map(len, rows)))
    one, other = rng.randrange(width), rng.randrange(width)
    for row in rows:
        if len(row) > max(one, other):
            row[one], row[other] = row[other], row[one]
    return "\n".join(map(comma.join, rows)) + "\n"


def swap_columns_below_their_header(text: str, rng: random.Random) -> str:
    header, *rest = text.splitlines()
    return header + "\n" + swap_fields("\n".join(rest), rng) if rest else text


def change_characters(text: str, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(rng.randrange(1, 40)):
        letters[rng.randrange(len(letters))] = rng.choice('0123456789.,-:" {}[]xNaN\n\t\u00e9')
    return "".join(letters)


def repeat_one_line(text: str, rng: random.Random) -> str:
    line = rng.choice(text.splitlines())
    return "\n".join([line] * rng.randrange(1, 60)) + "\n"


DAMAGES: list[Callable[[str, random.Random], str]] = [
    cut, cut_at_both_ends, shuffle_lines, swap_fields, swap_columns_below_their_header,
    change_characters, repeat_one_line,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@given(name=st.sampled_from(sorted(TEXTS)), seed=st.integers(0, 2**32))
@SETTINGS
def test_a_damaged_file_is_refused_or_read(
    tmp_path: Path, damage: Callable[[str, random.Random], str], name: str, seed: int
) -> None:
    text = damage(TEXTS[name], random.Random(seed))
    must_be_measured(read_or_refuse(tmp_path, text.encode()))


@given(st.binary(min_size=1, max_size=400))
@example(b"\x1c")
@example(b"time,requests\n1e308,1\n-1e308,1\n")
@example(b'{"time": 1e400, "status": 200}\n' * 30)
@example(b"timeStamp,elapsed,responseCode\n9e99,1,200\n" * 1)
@SETTINGS
def test_random_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    assert read_or_refuse(tmp_path, content) == []


@given(
    header=st.sampled_from(["time,requests", "time,rps", "timestamp,duration_ms", "hits", "x,y"]),
    cells=st.lists(
        st.tuples(
            st.one_of(
                st.integers(-10, 2**70), st.floats(), st.sampled_from(["", "x", "NaN", "1s"])
            ),
            st.one_of(st.integers(-10, 2**70), st.floats(), st.sampled_from(["", "x", "inf", "9"])),
        ),
        min_size=1,
        max_size=30,
    ),
)
@SETTINGS
def test_tables_of_any_numbers_are_refused_or_read(
    tmp_path: Path, header: str, cells: list[tuple[object, object]]
) -> None:
    text = "\n".join([header, *(f"{one},{other}" for one, other in cells)]) + "\n"
    for source in read_or_refuse(tmp_path, text.encode()):
        for service in source.services.values():
            if service.arrivals is not None:
                assert math.isfinite(service.arrivals.mean_rps)
                assert service.arrivals.mean_rps > 0


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_file_that_is_read_makes_a_draft(tmp_path: Path, name: str) -> None:
    path = tmp_path / "source"
    path.write_text(TEXTS[name])
    try:
        read_files([path])
    except BadInput:
        return
    scenario = draft_scenario([path], None, "x").scenario()
    (service,) = scenario.services.values()
    assert SHORTEST_S < service.service_time.mean_s() < LONGEST_S
