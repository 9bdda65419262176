"""How long the six steps of an update take on one instance, and what the instances share in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from simulation.scenario.distributions import Constant, Distribution
from simulation.scenario.units import DurationS, FileModel, Fraction

_FIELDS = ("take_out", "stop", "deploy", "verify", "start", "return_")

NOTHING = Constant.model_validate({"constant": "0s"})
"""The default of a step's duration: the step takes no time."""


class SixSteps(FileModel):
    """A model with one field for each of the six steps."""

    def in_order(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the value of each of the six steps, in their order."""
        for name in _FIELDS:
            yield name.removesuffix("_"), getattr(self, name)


class SharedWork(SixSteps):
    """The work that each instance has in one processor-sharing queue of its service, by step.

    A registry or a disk is such a queue. The work is on top of the step's own time, and is given as
    the time that it takes while no other instance has work there.

    Attributes:
        take_out: The work in the step take out.
        stop: The work in the step stop.
        deploy: The work in the step deploy, such as the download of an image.
        verify: The work in the step verify.
        start: The work in the step start.
        return_: The work in the step return.
    """

    take_out: DurationS = 0.0
    stop: DurationS = 0.0
    deploy: DurationS = 0.0
    verify: DurationS = 0.0
    start: DurationS = 0.0
    return_: DurationS = Field(default=0.0, alias="return")


class StepDurations(SixSteps):
    """How long each of the six steps of an update takes on one instance.

    Attributes:
        take_out: Taking the instance out of the balancer's pool; the drain comes in addition.
        stop: Stopping the old version.
        deploy: Installing the new version.
        verify: Checking the new version before its start.
        start: Starting the new version.
        return_: Putting the instance back into the pool.
        shared: Work in something that all instances of the service share, such as {deploy: 4s} for a
            registry: n instances that have work there at once each take n times as long.
        correlation: The correlation between the durations of a step on different instances. 0: the
            instances are independent; 1: a slow replication is slow on all of them.
        uncertain: How uncertain the durations are as a whole: with 10%, a factor between 1/1.1 and
            1.1 in nine of ten replications, the same for all steps and candidates.
    """

    take_out: Distribution = NOTHING
    stop: Distribution = NOTHING
    deploy: Distribution = NOTHING
    verify: Distribution = NOTHING
    start: Distribution = NOTHING
    return_: Distribution = Field(default=NOTHING, alias="return")
    shared: SharedWork = SharedWork()
    correlation: Fraction = 0.0
    uncertain: Fraction = 0.0
