"""How a Kubernetes Deployment turns surge and unavailable into counts.

Source: `ResolveFenceposts` of the deployment controller and the validation of
`RollingUpdateDeployment`; the reference of the two fields, ``maxSurge`` and ``maxUnavailable``.
"""

from __future__ import annotations

import re

from executor.errors import BadInput

_PERCENT = re.compile(r"^[0-9]+%$")


def resolve(surge: int | str, unavailable: int | str, replicas: int) -> tuple[int, int]:
    """Surge and unavailable as counts.

    Percentages are of the replicas, surge rounded up and unavailable down; when both come to 0,
    one may be unavailable, since otherwise nothing could ever move.

    Args:
        surge: ``maxSurge``, a count or a whole percentage such as ``25%``.
        unavailable: ``maxUnavailable``, likewise.
        replicas: How many instances there are.

    Raises:
        BadInput: A value is neither count nor percentage, both are literally 0, or unavailable
            exceeds 100 %.
    """
    surge_hundredths = _hundredths("surge", surge, replicas)
    unavailable_hundredths = _hundredths("unavailable", unavailable, replicas)
    if _is_literal_zero(surge) and _is_literal_zero(unavailable):
        raise BadInput("surge (0) and unavailable (0) must not both be 0: nothing could move")
    if isinstance(unavailable, str) and int(unavailable[:-1]) > 100:
        raise BadInput(f"unavailable ({unavailable}) must not exceed 100%")
    surge_count = -(-surge_hundredths // 100)
    unavailable_count = unavailable_hundredths // 100
    if surge_count == 0 and unavailable_count == 0:
        unavailable_count = 1
    return surge_count, unavailable_count


def window_count(window: int | str, replicas: int) -> int:
    """A rolling window without surge as a count: what may be unavailable.

    Raises:
        BadInput: As `resolve`, or the window is below 1 or larger than the fleet.
    """
    if _is_literal_zero(window) or (isinstance(window, int) and window < 0):
        raise BadInput(f"window ({window}) must be at least 1")
    count = resolve("0%", window, replicas)[1]
    if count > replicas:
        raise BadInput(f"window ({window}) must not exceed the fleet ({replicas})")
    return count


def _hundredths(name: str, value: int | str, replicas: int) -> int:
    """The value in hundredths of an instance, so that no rounding happens before its time."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadInput(f"{name} ({value}) must be a count or a percentage")
    if isinstance(value, int):
        if value < 0:
            raise BadInput(f"{name} ({value}) must not be negative")
        return value * 100
    if not _PERCENT.match(value):
        raise BadInput(f"{name} ({value}) must be a count or a whole percentage, such as 4 or 25%")
    return int(value[:-1]) * replicas


def _is_literal_zero(value: int | str) -> bool:
    return value in (0, "0%")
