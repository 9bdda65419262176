"""A plan as an Azure Pipelines deployment job with the strategy `rolling`, for virtual machines.

Source: the pipeline schema's `jobs.deployment.strategy.rolling`, in which numbers are strings. How `maxParallel` advances is not
documented beyond its name; that it is a barrier is an assumption, and said so.
"""

from __future__ import annotations

import math
import re

from executor.errors import Refused
from executor.exports.base import (
    NO_OPTIONS,
    Exported,
    ReleaseOptions,
    header,
    one_instance_s,
    refuse_beside,
    unwatched,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan import Plan, Step

_HOOKS = (
    ("preDeploy", (Step.TAKE_OUT,)),
    ("deploy", (Step.STOP, Step.DEPLOY, Step.VERIFY, Step.START)),
    ("routeTraffic", (Step.RETURN,)),
)
"""Which steps stand in which hook of the strategy."""


class AzurePipelines:
    """A deployment job; each step is a script beside the pipeline."""

    name = "azure-pipelines"
    words = "Azure Pipelines: a rolling deployment job for virtual machines"
    suffix = ".azure-pipelines.yaml"

    def render(self, plan: Plan, _options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """The job.

        Raises:
            Refused: The plan is a canary, for which the rolling strategy has no words, or makes
                new instances beside the old ones.
        """
        refuse_beside(plan, self.name)
        if plan.strategy == "canary":
            raise Refused(
                "azure-pipelines: strategy (canary) must be rolling: the canary strategy of Azure "
                "Pipelines is not for virtual machines"
            )
        lost = tuple(_lost(plan))
        rolling: dict[str, object] = {"maxParallel": str(plan.window)}
        for hook, steps in _HOOKS:
            rolling[hook] = {"steps": [_script(plan, step) for step in steps]}
        if plan.min_ready_s > 0:
            ready = f"sleep {whole_s(plan.min_ready_s)}"
            rolling["postRouteTraffic"] = {"steps": [{"script": ready, "displayName": "Ready for"}]}
        job = {
            "deployment": "roll_" + re.sub(r"[^A-Za-z0-9_]", "_", plan.service),
            "displayName": plan.name,
            "timeoutInMinutes": str(_longest_min(plan)),
            "environment": {"name": plan.service, "resourceType": "VirtualMachine"},
            "strategy": {"rolling": rolling},
        }
        text = header(plan, self, lost) + yaml_text({"jobs": [job]})
        return Exported(text, lost)

    def command(self, plan: Plan, file: str, _options: ReleaseOptions = NO_OPTIONS) -> str:
        """How the pipeline is made known."""
        return f"az pipelines create --name {plan.service} --yml-path {file}"


def _script(plan: Plan, step: Step) -> dict[str, object]:
    said: dict[str, object] = {
        "script": f"./{step.value}.sh",
        "displayName": step.replace("_", " ").capitalize(),
        "timeoutInMinutes": str(math.ceil(plan.step_deadlines_s[step] / 60)),
    }
    return said | ({"retryCountOnTaskFailure": str(plan.retries)} if plan.retries else {})


def _longest_min(plan: Plan) -> int:
    """By when it must be over: every batch at all its deadlines."""
    return math.ceil(math.ceil(len(plan.instances) / plan.window) * one_instance_s(plan) / 60)


def _lost(plan: Plan) -> list[str]:
    found = [
        "the scripts: take_out.sh, stop.sh, deploy.sh, verify.sh, start.sh and return.sh say what a "
        "step does",
        "order: machines come in the order of the environment",
        "advance: that a batch is a barrier is an assumption, it is not documented",
        "deadlines: are rounded up to whole minutes",
    ]
    if plan.pause_s > 0:
        found.append(f"pause ({plan.pause_s:g} s): there is none between batches")
    if plan.min_in_pool > 0:
        found.append(
            f"minimum in the pool ({plan.min_in_pool}): nobody counts who is up before a batch"
        )
    if plan.on_failure != "halt":
        found.append(f"on failure ({plan.on_failure}): what is done then is the hook on.failure's")
    return [*found, *unwatched(plan)]
