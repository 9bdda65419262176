"""The findings from a source: traffic and values of each service, each with its basis.

A reader returns `Findings`. `simulation.importers.combine` merges those of several sources, and
`simulation.importers.draft` writes them as a scenario. A basis is a phrase that begins with
``measured:`` (counted or timed), ``stated:`` (read from a configuration) or ``assumed:``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulation.importers.series import Series
from simulation.scenario.units import Floats

UNNAMED = ""
"""The name of the service of a source that names no service."""


@dataclass(frozen=True)
class Finding:
    """A value for a key of the scenario, and its basis.

    Attributes:
        value: The value as plain data.
        basis: ``measured: …``, ``stated: …`` or ``assumed: …``.
        weight: Of two findings for the same key, the one with the higher weight is taken.
        source: The file or files, for messages about conflicts.
    """

    value: Any
    basis: str
    weight: int
    source: str


@dataclass(frozen=True, eq=False)
class Durations:
    """Measured durations of single requests.

    Attributes:
        samples_s: The durations in seconds, in no particular order.
        basis: ``measured: …``.
        caveat: What else the durations may include besides service, ``assumed: …``; or empty.
    """

    samples_s: Floats
    basis: str
    caveat: str = ""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """The traffic of one service.

    Attributes:
        series: The traffic over time; None where only the mean is known.
        mean_rps: The mean rate, in requests per second.
        basis: ``measured: …``.
        source: The file or files.
    """

    series: Series | None
    mean_rps: float
    basis: str
    source: str

    @property
    def weight(self) -> int:
        """The weight among several sources: 2 for a series, 1 for a mean."""
        return 1 if self.series is None else 2


@dataclass(eq=False)
class ServiceFindings:
    """The findings about one service.

    Attributes:
        arrivals: The traffic; None where it is not known.
        service_time: Measured `Durations`, or a distribution as plain data.
        service: Findings by dotted key below ``services.NAME``.
        rollout: Findings by dotted key below ``rollout``.
    """

    arrivals: Arrivals | None = None
    service_time: Finding | None = None
    service: dict[str, Finding] = field(default_factory=dict)
    rollout: dict[str, Finding] = field(default_factory=dict)


@dataclass(eq=False)
class Findings:
    """The findings from one source.

    Attributes:
        kind: The kind of the source, such as ``access log``.
        source: The file or files, as messages name them.
        services: Findings by service; `UNNAMED` where the source has no names.
        notes: Notes for the user: damaged lines, fractions of errors, things left out.
    """

    kind: str
    source: str
    services: dict[str, ServiceFindings] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
