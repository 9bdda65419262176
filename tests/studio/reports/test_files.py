"""Charts and data as files: whole ones, of the kind that was asked for, with what was simulated."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from executor.base.errors import BadInput
from simulation.results.run_result import METRICS, OUTCOMES, SERIES
from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.charts.of_comparison import comparison_figures
from studio.reports.files import runs_frame, series_frame, states_frame, write_charts, write_data
from tests.helpers.command_line import SHOP


@cache
def shop(text: str = SHOP) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, (1, 2))
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


BEGINS = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


@pytest.mark.parametrize("kind", BEGINS)
def test_charts_are_files_of_their_kind_and_the_same_each_time(tmp_path: Path, kind: str) -> None:
    figures = comparison_figures(shop(), 1)
    written = write_charts(figures, tmp_path / f"shop{kind}")
    assert [path.name for path in written] == [
        f"shop-over-time{kind}",
        f"shop-trade-off{kind}",
        f"shop-steps{kind}",
    ]
    before = [path.read_bytes() for path in written]
    assert all(content.startswith(BEGINS[kind]) for content in before)
    again = write_charts(comparison_figures(shop(), 1), tmp_path / f"shop{kind}")
    assert [path.read_bytes() for path in again] == before
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_a_picture_has_twice_the_pixels_and_one_chart_its_own_name(tmp_path: Path) -> None:
    figure = comparison_figures(shop(), 1)["trade-off"]
    (path,) = write_charts({"trade-off": figure}, tmp_path / "mine.png")
    assert path == tmp_path / "mine.png"
    assert image.imread(path).shape[:2] == (840, 1920)
    assert figure.get_facecolor()[:3] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_data_are_three_tables_that_read_back(tmp_path: Path, kind: str) -> None:
    made = shop()
    written = write_data(made, tmp_path / f"shop{kind}")
    assert [one.name for one in written] == [
        f"shop{kind}",
        f"shop-series{kind}",
        f"shop-states{kind}",
    ]
    read = pd.read_csv if kind == ".csv" else pd.read_parquet
    for path, frame in zip(
        written, (runs_frame(made), series_frame(made), states_frame(made)), strict=True
    ):
        # A CSV has no types: "0", a number of instances or a percentage, comes back as a number.
        pd.testing.assert_frame_equal(
            read(path).astype({"surge": str} if "surge" in frame else {}), frame, check_dtype=False
        )


def test_each_run_is_a_row_with_every_figure() -> None:
    made = shop()
    table = runs_frame(made)
    assert list(zip(table["candidate"], table["run"], strict=True)) == [
        (f"Window {window}", run) for window in (1, 2) for run in range(4)
    ]
    for _, row in table.iterrows():
        run = made.candidates[row["window_count"] - 1].runs[row["run"]]
        for name in METRICS:
            value = run.metrics[name]
            assert row[name] == value if value is not None else np.isnan(row[name])
        ways = [row[f"requests_{name}"] for name in (*OUTCOMES, "in_flight")]
        assert row["requests_arrived"] == sum(ways)
        assert row["ended"] == run.ended
        assert row["end_s"] == run.end_s


def test_series_and_states_are_those_of_the_runs() -> None:
    made = shop()
    series, states = series_frame(made), states_frame(made)
    assert list(series.columns) == ["candidate", "run", "time_s", *SERIES]
    one = series[(series["candidate"] == "Window 2") & (series["run"] == 3)]
    run = made.candidates[1].runs[3]
    for name in SERIES:
        np.testing.assert_array_equal(one[name], run.series[name])
    mine = states[(states["candidate"] == "Window 2") & (states["run"] == 3)]
    assert [
        (row.instance, row.state, row.begin_s, row.end_s) for row in mine.itertuples(index=False)
    ] == [(f"web-{it.instance + 1:02d}", it.state.value, it.begin_s, it.end_s) for it in run.states]


def test_a_figure_that_does_not_exist_is_no_number() -> None:
    made = shop(SHOP.replace("rate: 40/s", "rate: 0/s"))
    assert made.candidates[0].metrics["latency_p99_s"].mean is None
    assert runs_frame(made)["latency_p99_s"].isna().all()
    assert set(comparison_figures(made, 0)) == {"over time", "trade-off", "steps"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop.gif", "must end in .png, .svg or .pdf"),
        ("shop", "must end in .png, .svg or .pdf"),
        ("nowhere/shop.png", "cannot be written: No such file or directory"),
    ],
)
def test_a_chart_that_cannot_be_written_is_said(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        write_charts(comparison_figures(shop(), 1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_data_of_an_unknown_kind_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"shop\.xlsx: must end in \.csv or \.parquet"):
        write_data(shop(), tmp_path / "shop.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_fleet_of_a_thousand_shows_some_of_its_instances() -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace(
        "replications: 4", "replications: 1"
    )
    text = text.replace("window: 2 ", "window: 500 ").replace("rate: 40/s", "rate: 400/s")
    figure = comparison_figures(_one(text), 0)["steps"]
    assert len(figure.axes[0].get_yticks()) == 48
    assert figure.get_figheight() < 20


def _one(text: str) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))
