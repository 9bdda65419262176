"""What an export is: a plan in another tool's words, and what those words cannot say.

Enters: a plan. Leaves: the text of a file, and a sentence for everything that is lost. Pure: no file
is read or written here, and nothing is known of the fleet but the plan.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

from executor.base.errors import BadInput, Refused
from executor.plan.model import STEPS, Plan


@dataclass(frozen=True)
class Exported:
    """A plan in a tool's words.

    Attributes:
        text: What the file says.
        lost: What the plan asks for and the tool does not do, a sentence each.
    """

    text: str
    lost: tuple[str, ...]


@dataclass(frozen=True)
class ReleaseOptions:
    """What a person names at an export, as no plan knows it or as it differs from the plan.

    Attributes:
        image: The new image, such as ``registry/shop:2.1``; None exports settings only.
        container: The container that it goes into.
        namespace: Where the workload is.
    """

    image: str | None = None
    container: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse.

        Raises:
            BadInput: A name has a character that none may have.
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
        name: As `--to` takes it.
        words: What comes of it, for people.
        suffix: How the file's name ends.
    """

    name: str
    words: str
    suffix: str

    def render(self, plan: Plan, options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """The plan in the tool's words.

        Raises:
            Refused: The tool has no words for how this plan rolls.
        """
        ...

    def command(self, plan: Plan, file: str, options: ReleaseOptions = NO_OPTIONS) -> str:
        """The command line that gives the file to the tool."""
        ...


def file_name(plan: Plan, target: ExportTarget) -> str:
    """What the exported file is called: the plan's name with nothing that a shell would mind."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', plan.name).strip('-.') or 'rollout'}{target.suffix}"


def header(
    plan: Plan, target: ExportTarget, lost: tuple[str, ...], options: ReleaseOptions = NO_OPTIONS
) -> str:
    """The comment at the top: where the file comes from, how it is used, what it does not say."""
    lines = [
        f"{plan.name}: {len(plan.instances)} instances of {plan.service}, window {plan.window}.",
        f"Made by Rollcast {plan.tool_version} from the plan {plan.digest[:12] or 'not sealed'}.",
        *_forecast(plan),
        f"Use it with: {target.command(plan, file_name(plan, target), options)}",
        *(["Lost in translation:"] if lost else []),
        *(f"- {one}" for one in lost),
    ]
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def _forecast(plan: Plan) -> list[str]:
    """How long the rollout is forecast to take, by the rules of what carries it out."""
    takes = plan.prediction.metrics.get("rollout_duration_s")
    if takes is None or takes.mean is None:
        return []
    by = "Rollcast" if plan.is_by_rollcast else plan.carried_out_by
    single = ""
    if takes.run_low is not None and takes.run_high is not None:
        single = f", {takes.run_low:.0f} to {takes.run_high:.0f} s in nine of ten single runs"
    return [f"Forecast as {by} rolls: {takes.mean:.0f} s{single}."]


def refuse_beside(plan: Plan, tool: str) -> None:
    """Refuse a plan whose forecast starts new instances beside the old ones.

    Raises:
        Refused: It does; the tool replaces each instance in its place.
    """
    if plan.replacement == "beside":
        raise Refused(
            f"{tool}: replacement (beside) must be in_place: {tool} replaces each instance in its "
            f"place, so the forecast would not hold; export it --to {plan.carried_out_by}, or plan "
            "it with --set rollout.surge=0 --set rollout.replacement=in_place"
        )


def whole_s(seconds: float) -> int:
    """Seconds as a tool counts them that knows whole ones only, rounded up."""
    return math.ceil(round(seconds, 9))


def one_instance_s(plan: Plan) -> float:
    """By when an instance must have gone through all six steps, and be ready."""
    return sum(plan.step_deadlines_s[step] for step in STEPS) + plan.min_ready_s


def in_flight_s(plan: Plan) -> float:
    """How long requests in flight may take once their instance is taken out."""
    drain_s = plan.drain.timeout_s
    if plan.drain.on_timeout == "wait":
        drain_s = plan.step_deadlines_s[STEPS[0]]
    grace_s = plan.stop.grace_s if plan.stop.mode == "graceful" else 0.0
    return max(drain_s, grace_s)


def unwatched_limits(plan: Plan) -> list[str]:
    """What only Rollcast's executor watches, where the plan asks for it."""
    found = []
    if plan.guards is not None:
        found.append(
            f"guards: nothing watches errors and latency over {plan.guards.over_s:g} s, so nothing "
            "stops the rollout by them"
        )
    found.append("forecast: a rollout that leaves its predicted range is not stopped")
    return found
