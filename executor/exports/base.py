"""The interface of an export: a plan as another tool's file, and what is lost by it.

Exports are pure: they read and write no file and know nothing of the fleet but the plan.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from executor.base.errors import BadInput, Refused
from executor.plan.model import STEPS, Plan


@dataclass(frozen=True)
class Exported:
    """A plan as a tool's file, with further files that it needs.

    Attributes:
        text: The content of the file.
        lost: A sentence for each thing that the plan asks for and the tool does not do.
        more: Further files by their path from the folder of the first; one that begins with ``#!`` is a
            program.
    """

    text: str
    lost: tuple[str, ...]
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReleaseOptions:
    """Options of an export: facts that a plan does not have, or that replace the plan's.

    Attributes:
        image: The new image, such as ``registry/shop:2.1``; None exports settings only.
        container: The container that gets the image.
        namespace: The namespace of the workload.
    """

    image: str | None = None
    container: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that the API server would refuse.

        Raises:
            BadInput: A name has a character that is not allowed.
        """
        for option, form in (("image", _IMAGE), ("container", _LABEL), ("namespace", _LABEL)):
            value = getattr(self, option)
            if value is not None and not form.fullmatch(value):
                raise BadInput(f"--{option} {value}: is no name of {_ARTICLE[option]}")


_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes takes it
_IMAGE = re.compile(  # the grammar of distribution/reference, in short
    r"[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
    r"(@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?"
)
_ARTICLE = {"image": "an image", "container": "a container", "namespace": "a namespace"}

NO_OPTIONS = ReleaseOptions()


class ExportTarget(Protocol):
    """A tool that plans can be exported for.

    Attributes:
        name: Its name, as the option `--to` takes it.
        title: The tool, in words.
        about: The kind of file, in words.
        suffix: The end of the file's name.
    """

    name: str
    title: str
    about: str
    suffix: str

    def render(self, plan: Plan, options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the plan as the tool's file.

        Raises:
            Refused: The tool cannot roll as this plan does.
        """
        ...

    def command(self, plan: Plan, file: str, options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command line that gives the file to the tool."""
        ...


def file_name(plan: Plan, target: ExportTarget) -> str:
    """Return the name of the exported file: the plan's name without special characters of a shell."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', plan.name).strip('-.') or 'rollout'}{target.suffix}"


def header(
    plan: Plan, target: ExportTarget, lost: tuple[str, ...], options: ReleaseOptions = NO_OPTIONS
) -> str:
    """Return the comment at the top of a file: its origin, its use, and what is lost."""
    lines = [
        f"{plan.name}: {len(plan.instances)} instances of {plan.service}, window {plan.window}.",
        f"Made by Rollcast {plan.tool_version} from the plan {plan.digest[:12] or 'not sealed'}.",
        *_forecast(plan),
        f"Use it with: {target.command(plan, file_name(plan, target), options)}",
        *(["Lost in translation:"] if lost else []),
        *(f"- {sentence}" for sentence in lost),
    ]
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def _forecast(plan: Plan) -> list[str]:
    """Return the predicted duration as a sentence, by the rules of the tool that carries it out."""
    duration = plan.prediction.metrics.get("rollout_duration_s")
    if duration is None or duration.mean is None:
        return []
    by = "Rollcast" if plan.is_by_rollcast else plan.carried_out_by
    single = ""
    if duration.run_low is not None and duration.run_high is not None:
        single = f", {duration.run_low:.0f} to {duration.run_high:.0f} s in nine of ten single runs"
    return [f"Forecast as {by} rolls: {duration.mean:.0f} s{single}."]


def refuse_beside(plan: Plan, tool: str) -> None:
    """Refuse a plan that starts new instances beside the old ones.

    Raises:
        Refused: The plan does so, but the tool replaces each instance in its place.
    """
    if plan.replacement == "beside":
        raise Refused(
            f"{tool}: replacement (beside) must be in_place: {tool} replaces each instance in its "
            f"place, so the forecast would not hold; export it --to {plan.carried_out_by}, or plan "
            "it with --set rollout.surge=0 --set rollout.replacement=in_place"
        )


def whole_s(seconds: float) -> int:
    """Return seconds rounded up, for a tool that takes whole seconds only."""
    return math.ceil(round(seconds, 9))


def one_instance_s(plan: Plan) -> float:
    """Return the maximum duration of all six steps of an instance and its `min_ready_s`, in seconds."""
    return sum(plan.step_deadlines_s[step] for step in STEPS) + plan.min_ready_s


def in_flight_s(plan: Plan) -> float:
    """Return how long requests in flight may take after their instance is taken out, in seconds."""
    drain_s = plan.drain.timeout_s
    if plan.drain.on_timeout == "wait":
        drain_s = plan.step_deadlines_s[STEPS[0]]
    grace_s = plan.stop.grace_s if plan.stop.mode == "graceful" else 0.0
    return max(drain_s, grace_s)


def unwatched_limits(plan: Plan) -> list[str]:
    """Return a sentence for each limit of the plan that only Rollcast's executor watches."""
    losses = []
    if plan.guards is not None:
        losses.append(
            f"guards: nothing watches errors and latency over {plan.guards.over_s:g} s, so nothing "
            "stops the rollout by them"
        )
    losses.append("forecast: a rollout that leaves its predicted range is not stopped")
    return losses
