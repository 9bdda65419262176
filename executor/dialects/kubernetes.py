"""Resolve ``maxSurge`` and ``maxUnavailable`` into counts, as a Kubernetes Deployment does.

Source: `ResolveFenceposts` of the deployment controller, and the validation of
`RollingUpdateDeployment` in the API server, which checks the two values as they are written, before
they are rounded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from executor.base.errors import BadInput

_PERCENT = re.compile(r"([0-9]{1,9})%")  # the API's ^[0-9]+%$, within the range of its integers


class _Amount(NamedTuple):
    """A count or a percentage of the replicas, as it is written."""

    number: int
    is_percent: bool

    def hundredths(self, replicas: int) -> int:
        """Return the amount in hundredths of an instance: whole numbers have no rounding errors."""
        return self.number * (replicas if self.is_percent else 100)


def resolve(surge: int | str, unavailable: int | str, replicas: int) -> tuple[int, int]:
    """Return surge and unavailable as counts.

    Percentages are of the replicas; surge is rounded up, unavailable down. When both are 0 then, one
    instance may be unavailable, since otherwise no instance could ever be replaced: 1 % of ten
    replicas as unavailable and a surge of 0 become (0, 1).

    Args:
        surge: ``maxSurge``, a count or a whole percentage such as ``25%``.
        unavailable: ``maxUnavailable``, a count or a whole percentage.
        replicas: Number of instances.

    Raises:
        BadInput: A value is neither count nor percentage, both are written as 0, or unavailable
            exceeds 100 %.
    """
    if replicas < 0:
        raise BadInput(f"replicas ({replicas}) must not be negative")
    above, below = _amount("surge", surge), _amount("unavailable", unavailable)
    if above.number == below.number == 0:
        raise BadInput(f"surge ({surge}) and unavailable ({unavailable}) must not both be 0")
    if below.is_percent and below.number > 100:
        raise BadInput(f"unavailable ({unavailable}) must not exceed 100%")
    surge_count = -(-above.hundredths(replicas) // 100)
    unavailable_count = below.hundredths(replicas) // 100
    if surge_count == unavailable_count == 0:
        return 0, 1
    return surge_count, unavailable_count


def window_count(window: int | str, replicas: int) -> int:
    """Return a rolling window as a count: how many may be unavailable without surge.

    Raises:
        BadInput: The window is neither count nor percentage, below 1, or larger than the fleet.
    """
    amount = _amount("window", window)
    if amount.number < 1:
        raise BadInput(f"window ({window}) must be at least 1{'%' * amount.is_percent}")
    if amount.hundredths(replicas) > 100 * replicas:
        raise BadInput(f"window ({window}) must not exceed the fleet ({replicas})")
    return resolve(0, window, replicas)[1]


def minimum_count(minimum: int | str, replicas: int) -> int:
    """Return a minimum of available instances as a count, as a PodDisruptionBudget resolves one.

    A percentage is rounded up: 50 % of 7 replicas as ``minAvailable`` are 4.

    Raises:
        BadInput: The minimum is neither count nor percentage.
    """
    return -(-_amount("minimum", minimum).hundredths(replicas) // 100)


def tolerated_count(failures: int | str, replicas: int) -> int:
    """Return the number of instances that may fail before a share of them is exceeded.

    A percentage is rounded down, as ``maxUnavailable`` is: 10 % of 25 replicas tolerate 2 failures.

    Raises:
        BadInput: The value is neither count nor percentage.
    """
    return _amount("failures", failures).hundredths(replicas) // 100


def _amount(name: str, value: int | str) -> _Amount:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise BadInput(f"{name} ({value}) must not be negative")
        return _Amount(value, is_percent=False)
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if percent is None:
        raise BadInput(f"{name} ({value}) must be a count or a whole percentage, such as 4 or 25%")
    return _Amount(int(percent[1]), is_percent=True)
