"""The limits of the scenario format."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


ATTEMPT_BITS = 5
"""The order of an attempt: its request's number, and in the last bits its own among them."""


MOST_INSTANCES = 100_000
"""Maximum number of instances, of a service and of all services together."""


MOST_PLACES = 10_000_000
"""Maximum number of slots of all instances, each counted as the one that has most.

The compiled engine keeps 8 bytes for each.
"""


MOST_REPLICATIONS = 100_000
"""Maximum number of replications: the results of a run take some 20 kB."""


MOST_REQUESTS_OF_A_RUN = 10**10
"""Maximum number of requests expected in one run: seven minutes at the 41 ns that one takes."""


MOST_REQUESTS_OF_A_STUDY = 10**12
"""Maximum number of requests expected in all runs of a candidate: eleven hours at 41 ns."""


MOST_EVENTS_OF_A_RUN = 10**9
"""Maximum number of health checks, of crashes, or of looks at a drain expected in one run."""


MOST_CANDIDATES = 100_000
"""Maximum number of candidates of a study: ten thousand starts with ten windows each."""


MOST_NUMBER = 1_000_000_000
"""Maximum of a number that has no limit of its own: a speed, a factor, a weight, a queue."""


LEAST_CV = 1e-6
"""Minimum coefficient of variation above 0: a gamma's shape is 1/cv²."""
