"""The states of a call, as both engines number them."""

from __future__ import annotations

WAITING, QUEUED, CONNECTING, PAUSED, SERVING, HOLDING, OPEN, GONE = range(8)
"""The states of a call.

- ``WAITING``: in the balancer's queue.
- ``QUEUED``: in the queue of an instance.
- ``CONNECTING``: between two attempts to connect to one instance, with a slot of that instance.
- ``PAUSED``: not yet sent, or between two attempts to connect, without a slot.
- ``SERVING``: in service.
- ``HOLDING``: served, with its slot, until the later services of its route have answered.
- ``OPEN``: an open long-lived connection.
- ``GONE``: over.
"""
