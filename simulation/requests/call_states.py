"""The states of a call, as both engines number them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


WAITING, QUEUED, CONNECTING, PAUSED, SERVING, HOLDING, OPEN, GONE = range(8)
"""Where a call is: at the balancer, in an instance's own queue, holding a slot while it tries to
connect, nowhere yet or between two tries, in service, served and waiting for the next service on its route, an
open connection, over."""
