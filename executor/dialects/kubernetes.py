"""How a Kubernetes Deployment turns surge and unavailable into counts.

Enters: ``maxSurge`` and ``maxUnavailable`` as a manifest says them, and the replicas. Leaves: whole
instances. Source: `ResolveFenceposts` of the deployment controller, and the validation of
`RollingUpdateDeployment` in the API server, which judges the two as they are written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from executor.base.errors import BadInput

_PERCENT = re.compile(r"([0-9]{1,9})%")  # the API's ^[0-9]+%$, within the range of its integers


class _Amount(NamedTuple):
    """A count, or a percentage of the replicas, as it is written."""

    number: int
    is_percent: bool

    def hundredths(self, replicas: int) -> int:
        """In hundredths of an instance: whole numbers, so that nothing is rounded unawares."""
        return self.number * (replicas if self.is_percent else 100)


def resolve(surge: int | str, unavailable: int | str, replicas: int) -> tuple[int, int]:
    """Surge and unavailable as counts.

    Percentages are of the replicas, surge rounded up and unavailable down; when both come to 0,
    one may be unavailable, since otherwise nothing could ever move.

    Args:
        surge: ``maxSurge``, a count or a whole percentage such as ``25%``.
        unavailable: ``maxUnavailable``, likewise.
        replicas: How many instances there are.

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
    """A rolling window as a count: what may be unavailable when nothing surges.

    Raises:
        BadInput: The window is neither count nor percentage, below 1, or larger than the fleet.
    """
    amount = _amount("window", window)
    if amount.number < 1:
        raise BadInput(f"window ({window}) must be at least 1{'%' * amount.is_percent}")
    if amount.hundredths(replicas) > 100 * replicas:
        raise BadInput(f"window ({window}) must not exceed the fleet ({replicas})")
    return resolve(0, window, replicas)[1]


def _amount(name: str, value: int | str) -> _Amount:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise BadInput(f"{name} ({value}) must not be negative")
        return _Amount(value, is_percent=False)
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if percent is None:
        raise BadInput(f"{name} ({value}) must be a count or a whole percentage, such as 4 or 25%")
    return _Amount(int(percent[1]), is_percent=True)
