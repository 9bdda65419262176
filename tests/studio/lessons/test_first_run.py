"""What the first start shows is what the engine gives, and is there without the engine."""

from __future__ import annotations

import lzma
import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from simulation.results.run_result import RunResult
from simulation.scenario.file import ScenarioFile
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.lessons.first_run import pack_comparison, results_path, unpack_comparison
from studio.resources import EXAMPLE, scenarios_dir
from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT


def nearly(value: Any) -> Any:
    """Return what equals `value` up to rounding: processors differ in `exp` and `log`."""
    return pytest.approx(value, rel=1e-6, abs=1e-9)


def example() -> ScenarioFile:
    return ScenarioFile.load(scenarios_dir() / EXAMPLE)


def shipped() -> Comparison:
    scenario = example().scenario
    cases = cases_of(scenario, default_windows(scenario).windows)
    found = unpack_comparison(results_path().read_bytes(), scenario, cases)
    assert found is not None, "./rollcast update-expected writes it anew"
    return found


def test_it_is_small_and_says_what_makes_the_example_worth_looking_at() -> None:
    assert results_path().stat().st_size <= 1_500_000
    found = shipped()
    assert found.scenario.service.instance_count == 24
    answers = {one.candidate.window: one.verdict.answer for one in found.candidates}
    assert answers == {1: "fails", 2: "meets", 4: "meets", 8: "fails"}
    assert found.chosen is not None
    assert found.candidates[found.chosen].candidate.window == 4


@pytest.mark.slow
def test_it_is_what_the_engine_gives() -> None:
    scenario, found = example().scenario, shipped()
    cases = cases_of(scenario, default_windows(scenario).windows)
    made = compare(scenario, cases, list(run_rows(scenario, cases)))
    assert [one.candidate for one in found.candidates] == [one.candidate for one in made.candidates]
    for mine, theirs in zip(found.candidates, made.candidates, strict=True):
        for run, other in zip(mine.runs, theirs.runs, strict=True):
            assert_alike(run, other)


def assert_alike(run: RunResult, other: RunResult) -> None:
    """Figures are the same, series to 11 binary digits, states to 1/256 s."""
    for name in (
        *("ended", "requests", "bin_s", "critical_path", "failures", "stopped_by", "table"),
        *("losses", "engine", "stretches"),
    ):
        assert getattr(run, name) == getattr(other, name), name
    for name in ("metrics", "alone", "control_metrics"):
        mine, theirs = getattr(run, name), getattr(other, name)
        nothing = {figure for figure, value in theirs.items() if value is None}
        assert {figure for figure, value in mine.items() if value is None} == nothing
        there = {figure: value for figure, value in theirs.items() if figure not in nothing}
        assert {figure: mine[figure] for figure in there} == nearly(there)
    for name in ("settled_s", "end_s"):
        assert getattr(run, name) == nearly(getattr(other, name))
    assert run.waits is not None
    assert other.waits is not None
    assert vars(run.waits) == nearly(vars(other.waits))
    assert run.series.keys() == other.series.keys()
    for name, values in run.series.items():
        np.testing.assert_allclose(values, other.series[name], rtol=2.0**-11, atol=1e-12)
    for one, two in zip(run.states, other.states, strict=True):
        assert (one.instance, one.state) == (two.instance, two.state)
        assert one.begin_s == pytest.approx(two.begin_s, abs=1 / 256 + 1e-6)
        assert one.end_s == pytest.approx(two.end_s, abs=1 / 256 + 1e-6)
    assert {field.name for field in fields(RunResult)} == {
        *("ended", "requests", "bin_s", "critical_path", "failures", "table", "metrics", "alone"),
        *("settled_s", "end_s", "waits", "series", "states", "engine", "stopped_by", "losses"),
        *("stretches", "control_metrics"),
    }


def test_it_is_read_without_the_compiler() -> None:
    program = f"""
import sys
from pathlib import Path
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.scenario.file import ScenarioFile
from studio.lessons.first_run import results_path, unpack_comparison
scenario = ScenarioFile.load(Path({str(scenarios_dir() / EXAMPLE)!r})).scenario
cases = cases_of(scenario, default_windows(scenario).windows)
assert unpack_comparison(results_path().read_bytes(), scenario, cases)
print(*(name for name in ("numba", "PySide6") if name in sys.modules))
"""
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def shop(text: str = SHOP) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    comparison, _rows = run_study(scenario, cases_of(scenario, (1, 2)), Execution(jobs=1))
    assert comparison is not None
    return comparison


def test_a_comparison_comes_back() -> None:
    made = shop()
    cases = [result.case for result in made.candidates]
    found = unpack_comparison(pack_comparison(made), made.scenario, cases)
    assert found is not None
    assert found.confirmed is not None
    assert found.to_json() == made.to_json()


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        (SHOP.replace("instances: 6", "instances: 7"), (1, 2)),
        (SHOP.replace("replications: 4", "replications: 5"), (1, 2)),
        (SHOP, (1, 3)),
    ],
)
def test_results_of_something_else_are_none(text: str, windows: tuple[int, ...]) -> None:
    packed = pack_comparison(shop())
    scenario = ScenarioFile.parse(text).scenario
    assert unpack_comparison(packed, scenario, cases_of(scenario, windows)) is None


@pytest.mark.parametrize("packed", [b"", b"nothing", lzma.compress(b""), lzma.compress(b"\x09")])
def test_what_is_no_comparison_is_refused(packed: bytes) -> None:
    made = shop()
    with pytest.raises(ValueError, match="not a packed comparison"):
        unpack_comparison(packed, made.scenario, [result.case for result in made.candidates])


@pytest.mark.parametrize("cut", [10, 20_000])
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    made = shop()
    framed = lzma.decompress(pack_comparison(made))
    assert len(framed) > 2 * cut
    with pytest.raises(ValueError, match="not a packed comparison"):
        unpack_comparison(
            lzma.compress(framed[:-cut]),
            made.scenario,
            [result.case for result in made.candidates],
        )
