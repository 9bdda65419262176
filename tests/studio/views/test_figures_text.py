"""Figures as people read them, with the values at which their form changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor.plan.model import Interval
from studio.views import figures_text as f

CASES: list[tuple[Callable[..., str], object, str]] = [
    (f.duration_text, None, "–"),
    (f.duration_text, 0.0, "0.0 s"),
    (f.duration_text, 41.25, "41.2 s"),
    (f.duration_text, 59.94, "59.9 s"),
    (f.duration_text, 59.96, "1 min 00 s"),
    (f.duration_text, 761.4, "12 min 41 s"),
    (f.duration_text, 3599.4, "59 min 59 s"),
    (f.duration_text, 3599.6, "1 h 00 min"),
    (f.duration_text, 7500.0, "2 h 05 min"),
    (f.clock_text, None, "–"),
    (f.clock_text, 0.0, "0:00"),
    (f.clock_text, 59.6, "1:00"),
    (f.clock_text, 761.0, "12:41"),
    (f.clock_text, 3725.0, "1:02:05"),
    (f.length_text, None, "–"),
    (f.length_text, 0.0, "0"),
    (f.length_text, 30.0, "30 s"),
    (f.length_text, 300.0, "5 min"),
    (f.length_text, 5400.0, "1.5 h"),
    (f.time_left_text, None, ""),
    (f.time_left_text, 0.2, "about 1 s left"),
    (f.time_left_text, 59.9, "about 60 s left"),
    (f.time_left_text, 89.0, "about 1 min left"),
    (f.time_left_text, 7170.0, "about 2 h left"),
    (f.latency_text, None, "–"),
    (f.latency_text, 0.0, "0 ms"),
    (f.latency_text, 0.0042, "4.2 ms"),
    (f.latency_text, 0.0099, "9.9 ms"),
    (f.latency_text, 0.00996, "10 ms"),
    (f.latency_text, 0.312, "312 ms"),
    (f.latency_text, 0.9994, "999 ms"),
    (f.latency_text, 0.9996, "1.00 s"),
    (f.latency_text, 1.239, "1.24 s"),
    (f.latency_text, 9.994, "9.99 s"),
    (f.latency_text, 9.996, "10.0 s"),
    (f.limit_text, 4.0, "4 s"),
    (f.limit_text, 0.25, "250 ms"),
    (f.limit_text, 180.0, "180 s"),
    (f.count_text, None, "–"),
    (f.count_text, 0.0, "0"),
    (f.count_text, 0.004, "≈ 0"),
    (f.count_text, 0.017, "0.02"),
    (f.count_text, 0.096, "0.1"),
    (f.count_text, 0.31, "0.3"),
    (f.count_text, 12.0, "12"),
    (f.count_text, 99.94, "99.9"),
    (f.count_text, 99.96, "100"),
    (f.count_text, 861204.0, "861,204"),
    (f.count_text, 100.4, "100"),
    (f.percent_text, None, "–"),
    (f.percent_text, 0.0, "0 %"),
    (f.percent_text, 0.000004, "≈ 0 %"),
    (f.percent_text, 0.000011, "0.0011 %"),
    (f.percent_text, 0.001, "0.1 %"),
    (f.percent_text, 0.0012, "0.12 %"),
    (f.percent_text, 0.0994, "9.9 %"),
    (f.percent_text, 0.0996, "10 %"),
    (f.percent_text, 0.8712, "87 %"),
    (f.percent_text, 0.996, "99.6 %"),
    (f.percent_text, 0.99999, "99.9 %"),
    (f.percent_text, 1.0, "100 %"),
    (f.drain_text, 30.0, "30 s"),
    (f.drain_text, 2.5, "2.5 s"),
]


@pytest.mark.parametrize(
    ("text", "value", "expected"), CASES, ids=[f"{c[0].__name__}-{c[1]}" for c in CASES]
)
def test_a_figure_is_read_so(text: Callable[..., str], value: object, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rollout_duration_s", 147.0, "2 min 27 s"),
        ("mixed_version_s", 20.0, "20.0 s"),
        ("rollout_latency_p99_s", 0.312, "312 ms"),
        ("error_fraction", 0.0012, "0.12 %"),
        ("queue_max", 17.0, "17"),
        ("surge_instance_s", 90.0, "90 instance-s"),
        ("surge_instance_s", None, "–"),
        ("exposure_requests", 1200.0, "1,200"),
    ],
)
def test_a_metric_has_the_unit_of_its_name(name: str, value: float | None, expected: str) -> None:
    assert f.metric_text(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rollout_duration_s", -250.0, "−4 min 10 s"),
        ("rollout_latency_p99_s", 1.2, "+1.20 s"),
        ("rollout_latency_p99_s", 0.0, "0 ms"),
        ("failed_requests", -3.0, "−3"),
        ("failed_requests", 0.001, "≈ 0"),
        ("rollout_error_fraction", 0.0005, "+0.05 %"),
        ("error_fraction", 0.0, "0 %"),
        ("error_fraction", -0.000001, "≈ 0 %"),
        ("error_fraction", None, "–"),
    ],
)
def test_a_difference_has_its_sign(name: str, value: float | None, expected: str) -> None:
    assert f.signed_text(name, value) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("715 ms", "775 ms", "715 – 775 ms"),
        ("715 ms", "1.20 s", "715 ms – 1.20 s"),
        ("0 %", "0 %", "0 %"),
        ("1:11", "1:23", "1:11 – 1:23"),
        ("2 min 20 s", "2 min 27 s", "2 min 20 s – 2 min 27 s"),
    ],
)
def test_a_range_says_its_unit_once(low: str, high: str, expected: str) -> None:
    assert f.between_text(low, high) == expected


def test_what_single_runs_may_do() -> None:
    figure = Interval(mean=0.3, low=0.2, high=0.4, run_low=0.1, run_high=0.5)
    assert f.range_text("latency_p99_s", figure) == "100 – 500 ms"
    nothing = Interval(mean=None, low=None, high=None, run_low=None, run_high=None)
    assert f.range_text("latency_p99_s", nothing) == "–"


def test_one_service_is_singular() -> None:
    assert [f.services_text(count) for count in (1, 2, 1200)] == [
        "1 service",
        "2 services",
        "1,200 services",
    ]
