"""Where a rollout's time went: one row for each rule, times by hand."""

from __future__ import annotations

import pytest

from simulation.control.time_spent import Phase, SpentOn, sum_waits, waits_of
from simulation.results.run_result import Waits


def phase(cause: SpentOn, begin_s: float, end_s: float, instance: int | None = 0) -> Phase:
    return Phase(cause, instance, begin_s, end_s)


@pytest.mark.parametrize(
    ("phases", "spent"),
    [
        pytest.param([], Waits(0, 0, 10, 0), id="nothing was noted: all of it was waiting"),
        pytest.param([phase("drain", 0, 4), phase("step", 4, 10)], Waits(4, 6, 0, 0), id="a chain"),
        pytest.param(
            [phase("drain", 0, 4), phase("step", 6, 10)],
            Waits(4, 4, 2, 0),
            id="what lies between two phases is waiting",
        ),
        pytest.param(
            [phase("step", 0, 10), phase("drain", 0, 10.5, instance=1)],
            Waits(0, 10, 0, 0),
            id="a phase that ends after the end determined nothing",
        ),
        pytest.param(
            [phase("drain", 0, 5), phase("drain", 1, 5.5, instance=1), phase("step", 5, 10)],
            Waits(5, 5, 0, 0),
            id="a phase that ends after the next began determined nothing",
        ),
        pytest.param(
            [phase("drain", -3, 5), phase("step", 5, 10)],
            Waits(8, 5, -3, 0),
            id="a phase counts as a whole",
        ),
        pytest.param(
            [phase("drain", -5, 0), phase("step", 0, 10)],
            Waits(0, 10, 0, 0),
            id="a phase that ends when the rollout begins is not looked at",
        ),
        pytest.param(
            [phase("step", 5, 5), phase("drain", 0, 5), phase("step", 5, 10)],
            Waits(5, 5, 0, 0),
            id="a phase of no length is left out: it would never come to an end",
        ),
        pytest.param(
            [phase("drain", 0, 5), phase("step", 2, 5, instance=1), phase("step", 5, 10)],
            Waits(5, 5, 0, 0),
            id="of those that end at once, the own instance's",
        ),
        pytest.param(
            [
                phase("pause", 1, 5, instance=2),
                phase("step", 2, 5, instance=1),
                phase("step", 5, 10),
            ],
            Waits(0, 5, 1, 4),
            id="else the pause",
        ),
        pytest.param(
            [
                phase("drain", 1, 5, instance=2),
                phase("step", 2, 5, instance=1),
                phase("step", 5, 10),
            ],
            Waits(0, 8, 2, 0),
            id="else the one that is listed last",
        ),
        pytest.param(
            [
                phase("drain", 0, 5, None),
                phase("pause", 2, 5, instance=1),
                phase("step", 5, 10, None),
            ],
            Waits(0, 5, 2, 3),
            id="phases of the whole service are nobody's own",
        ),
        pytest.param(
            [phase("drain", 0, 4), phase("gate", 4, 10)], Waits(4, 0, 6, 0), id="a gate is waiting"
        ),
    ],
)
def test_the_time_of_a_rollout_from_0_to_10(phases: list[Phase], spent: Waits) -> None:
    assert waits_of(phases, 0.0, 10.0) == spent


def test_services_in_a_row_add_up() -> None:
    assert sum_waits([Waits(1, 2, 3, 4), Waits(10, 20, 30, 40)]) == Waits(11, 22, 33, 44)
