"""Kubernetes' rounding and validation, as a table.

Sources: `ResolveFenceposts` (pkg/controller/deployment/util), `ValidateRollingUpdateDeployment`
(pkg/apis/apps/validation), and the API reference of the two fields, whose examples are 30 % of 10.
"""

from __future__ import annotations

from typing import Any

import pytest

from executor.base.errors import BadInput
from executor.dialects.kubernetes import resolve, window_count

FENCEPOSTS = "ResolveFenceposts"
REFERENCE = "API reference"
VALIDATION = "validation"

RESOLVED = [
    # surge, unavailable, replicas, surge count, unavailable count, source
    pytest.param("25%", "25%", 1, 1, 0, REFERENCE, id="defaults of 1"),
    pytest.param("25%", "25%", 3, 1, 0, REFERENCE, id="defaults of 3"),
    pytest.param("25%", "25%", 4, 1, 1, REFERENCE, id="defaults of 4"),
    pytest.param("25%", "25%", 10, 3, 2, REFERENCE, id="defaults of 10"),
    pytest.param("30%", "30%", 10, 3, 3, REFERENCE, id="30 % of 10"),
    pytest.param(0, "1%", 2, 0, 1, FENCEPOSTS, id="fallback: one percent of 2"),
    pytest.param("0%", "1%", 1, 0, 1, FENCEPOSTS, id="fallback: one percent of 1"),
    pytest.param("1%", "25%", 2, 1, 0, FENCEPOSTS, id="surge first, of 2"),
    pytest.param("1%", "25%", 1, 1, 0, FENCEPOSTS, id="surge first, of 1"),
    pytest.param("1%", "0%", 2, 1, 0, FENCEPOSTS, id="surge only, of 2"),
    pytest.param("0%", "10%", 9, 0, 1, FENCEPOSTS, id="fallback: a tenth of 9"),
    pytest.param("25%", 0, 0, 0, 1, FENCEPOSTS, id="fallback: no replicas"),
    pytest.param("1%", 0, 2, 1, 0, FENCEPOSTS, id="surge rounds up"),
    pytest.param(0, "99%", 2, 0, 1, FENCEPOSTS, id="unavailable rounds down"),
    pytest.param("29%", "29%", 100, 29, 29, FENCEPOSTS, id="29 % of 100 in whole numbers"),
    pytest.param(1, 0, 4, 1, 0, FENCEPOSTS, id="counts"),
    pytest.param(0, "100%", 4, 0, 4, VALIDATION, id="all unavailable"),
    pytest.param("150%", 0, 4, 6, 0, VALIDATION, id="surge above 100 %"),
    pytest.param(0, 9, 4, 0, 9, VALIDATION, id="a count above the replicas"),
]


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "surge_count", "unavailable_count", "source"), RESOLVED
)
def test_resolved(
    surge: int | str,
    unavailable: int | str,
    replicas: int,
    surge_count: int,
    unavailable_count: int,
    source: str,
) -> None:
    assert resolve(surge, unavailable, replicas) == (surge_count, unavailable_count), source


SUCH = "must be a count or a whole percentage, such as 4 or 25%"
REJECTED = [
    pytest.param(0, 0, "surge (0) and unavailable (0) must not both be 0", id="both 0"),
    pytest.param("0%", "0%", "surge (0%) and unavailable (0%) must not both be 0", id="both 0 %"),
    pytest.param(0, "00%", "surge (0) and unavailable (00%) must not both be 0", id="0 and 00 %"),
    pytest.param(0, "101%", "unavailable (101%) must not exceed 100%", id="above 100 %"),
    pytest.param("25percent", 1, f"surge (25percent) {SUCH}", id="25percent"),
    pytest.param(1, "25percent", f"unavailable (25percent) {SUCH}", id="unavailable 25percent"),
    pytest.param(1, "2.5%", f"unavailable (2.5%) {SUCH}", id="a broken percentage"),
    pytest.param(1, "-5%", f"unavailable (-5%) {SUCH}", id="a negative percentage"),
    pytest.param(1, "%", f"unavailable (%) {SUCH}", id="only the sign"),
    pytest.param(1, "4", f"unavailable (4) {SUCH}", id="a count as text"),
    pytest.param(1, "", f"unavailable () {SUCH}", id="nothing"),
    pytest.param(1, "٢٥%", f"unavailable (٢٥%) {SUCH}", id="other digits"),
    pytest.param(1, "9" * 5000 + "%", f"unavailable ({'9' * 5000}%) {SUCH}", id="beyond integers"),
    pytest.param(1, True, f"unavailable (True) {SUCH}", id="a truth value"),
    pytest.param(1, 0.25, f"unavailable (0.25) {SUCH}", id="a fraction"),
    pytest.param(-1, 1, "surge (-1) must not be negative", id="surge below 0"),
    pytest.param(1, -1, "unavailable (-1) must not be negative", id="unavailable below 0"),
]


@pytest.mark.parametrize(("surge", "unavailable", "message"), REJECTED)
def test_rejected(surge: Any, unavailable: Any, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        resolve(surge, unavailable, 4)
    assert str(refused.value) == message


def test_replicas_below_0_are_rejected() -> None:
    with pytest.raises(BadInput, match=r"^replicas \(-1\) must not be negative$"):
        resolve(1, 1, -1)


WINDOWS = [
    pytest.param(1, 1, 1, id="one of one"),
    pytest.param(4, 24, 4, id="a count"),
    pytest.param(6, 6, 6, id="the fleet"),
    pytest.param("25%", 24, 6, id="a quarter"),
    pytest.param("100%", 6, 6, id="all"),
    pytest.param("30%", 11, 3, id="rounded down"),
    pytest.param("1%", 2, 1, id="never none"),
]


@pytest.mark.parametrize(("window", "replicas", "count"), WINDOWS)
def test_window_is_what_may_be_unavailable_without_surge(
    window: int | str, replicas: int, count: int
) -> None:
    assert window_count(window, replicas) == count == resolve(0, window, replicas)[1]


NO_WINDOWS = [
    pytest.param(0, 6, "window (0) must be at least 1", id="0"),
    pytest.param("0%", 6, "window (0%) must be at least 1%", id="0 %"),
    pytest.param(-1, 6, "window (-1) must not be negative", id="below 0"),
    pytest.param(9, 6, "window (9) must not exceed the fleet (6)", id="above the fleet"),
    pytest.param("150%", 6, "window (150%) must not exceed the fleet (6)", id="above 100 %"),
    pytest.param(1, 0, "window (1) must not exceed the fleet (0)", id="no fleet"),
    pytest.param("lots", 6, f"window (lots) {SUCH}", id="a word"),
]


@pytest.mark.parametrize(("window", "replicas", "message"), NO_WINDOWS)
def test_what_is_no_window(window: int | str, replicas: int, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        window_count(window, replicas)
    assert str(refused.value) == message
