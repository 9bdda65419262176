"""What a source told: the traffic, and what is known of each service, each with its basis.

Enters: what a reader found in its files. Leaves: `Findings`, which `simulation.importers.combine`
puts together and `simulation.importers.draft` writes as a scenario. A basis is a phrase that begins
with ``measured:`` (counted or timed), ``stated:`` (a configuration says so) or ``assumed:``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulation.importers.series import Series
from simulation.scenario.units import Floats

UNNAMED = ""
"""The service of a source that names none."""


@dataclass(frozen=True)
class Finding:
    """A value as a scenario writes it, and what stands behind it.

    Attributes:
        value: Plain data.
        basis: ``measured: …``, ``stated: …`` or ``assumed: …``.
        weight: Of two sources that tell the same key the weightier is taken.
        source: The file or files, for a message about a conflict.
    """

    value: Any
    basis: str
    weight: int
    source: str


@dataclass(frozen=True, eq=False)
class Durations:
    """How long requests took, one by one.

    Attributes:
        samples_s: Seconds, in no particular order.
        basis: ``measured: …``.
        caveat: What else may be in them beside the service, ``assumed: …``; empty where nothing is.
    """

    samples_s: Floats
    basis: str
    caveat: str = ""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """How many requests came to a service.

    Attributes:
        series: Over time; None where only a mean is known.
        mean_rps: Requests a second in the mean.
        basis: ``measured: …``.
        weight: 2 for a series, 1 for a mean.
        source: The file or files.
    """

    series: Series | None
    mean_rps: float
    basis: str
    source: str

    @property
    def weight(self) -> int:
        """A series says more than a mean."""
        return 1 if self.series is None else 2


@dataclass(eq=False)
class ServiceFindings:
    """What is known of one service.

    Attributes:
        arrivals: Its traffic; None where it is not known.
        service_time: Durations one by one, or a distribution as a scenario writes it.
        service: Keys of ``services.NAME``, dotted.
        rollout: Keys of ``rollout``, dotted.
    """

    arrivals: Arrivals | None = None
    service_time: Finding | None = None
    service: dict[str, Finding] = field(default_factory=dict)
    rollout: dict[str, Finding] = field(default_factory=dict)


@dataclass(eq=False)
class Findings:
    """What one source told.

    Attributes:
        kind: What it is, in words: ``access log``.
        source: The file or files, as they are named in messages.
        services: By name; `UNNAMED` where the source has no names.
        notes: What a reader should know besides: damaged lines, shares of errors, things left out.
    """

    kind: str
    source: str
    services: dict[str, ServiceFindings] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
