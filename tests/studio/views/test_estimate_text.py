"""The sentence of an estimate about limits that no closed form answers."""

from __future__ import annotations

import pytest

from simulation.estimates.estimate import estimate
from studio.views.sentences import estimate_answer
from tests.helpers.scenarios import scenario


@pytest.mark.parametrize(
    ("surge", "most", "answer", "begins"),
    [
        (0, 4, "meets", "should meet"),
        (1, 8, "", "may do; what is asked of it needs simulation"),
        (1, 3, "fails", "cannot meet the objectives: the fleet has 4 instances"),
    ],
)
def test_a_quota_is_answered_only_where_the_fleet_does_not_grow(
    surge: int, most: int, answer: str, begins: str
) -> None:
    one = scenario(
        rate="40/s",
        steps={"deploy": "20s"},
        rollout={"surge": surge},
        objectives={"most_instances": most},
    )
    told, words = estimate_answer(estimate(one), one)
    assert (told, words[: len(begins)]) == (answer, begins)
