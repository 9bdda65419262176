"""The limits of the scenario format."""

from __future__ import annotations

ATTEMPT_BITS = 5
"""Number of bits for the attempt's number in an attempt's order: request number × 2⁵ + attempt.

It limits a request to 32 attempts.
"""


MOST_INSTANCES = 100_000
"""Maximum number of instances, of a service and of all services together."""


MOST_PLACES = 10_000_000
"""Maximum number of instances × the most slots of one instance.

The compiled engine keeps 8 bytes for each.
"""


MOST_REPLICATIONS = 100_000
"""Maximum number of replications; the result of each run takes about 20 kB."""


MOST_REQUESTS_OF_A_RUN = 10**10
"""Maximum number of requests expected in one run: seven minutes at 41 ns for each request."""


MOST_REQUESTS_OF_A_STUDY = 10**12
"""Maximum number of requests expected in all runs of a candidate: eleven hours at 41 ns for each."""


MOST_EVENTS_OF_A_RUN = 10**9
"""Maximum number of health checks, of crashes, or of polls of drains expected in one run."""


MOST_CANDIDATES = 100_000
"""Maximum number of candidates of a study, such as ten thousand starts with ten windows each."""


CONNECTION_BITS = 20
"""Number of bits for a connection's number among those that the requests of a service share."""


MOST_CONNECTIONS = 1 << CONNECTION_BITS
"""Maximum number of connections that the requests of a service share.

When an instance closes its connections, all of the service's are looked at.
"""


MOST_NUMBER = 1_000_000_000
"""Maximum of a number that has no limit of its own, such as a weight or a queue limit."""


LEAST_CV = 1e-6
"""Minimum coefficient of variation above 0: a gamma's shape is 1/cv²."""
