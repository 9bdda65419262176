"""A plan as an Azure Pipelines deployment job with the strategy `rolling`, for virtual machines.

Source: the pipeline schema's `jobs.deployment.strategy.rolling`, in which numbers are strings. The
documentation does not say how `maxParallel` advances. This export assumes that the next batch begins
when the whole batch is done, and says so.
"""

from __future__ import annotations

import math
import re
import shlex

from executor.base.errors import Refused
from executor.exports.base import (
    NO_OPTIONS,
    Exported,
    ReleaseOptions,
    header,
    one_instance_s,
    refuse_beside,
    unwatched_limits,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan.model import Plan, Step

_HOOKS = (
    ("preDeploy", (Step.TAKE_OUT,)),
    ("deploy", (Step.STOP, Step.DEPLOY, Step.VERIFY, Step.START)),
    ("routeTraffic", (Step.RETURN,)),
)
"""The steps in each hook of the strategy."""


class AzurePipelines:
    """An export as a deployment job in which each step is a script beside the pipeline."""

    name = "azure-pipelines"
    title = "Azure Pipelines"
    about = "a rolling deployment job for virtual machines"
    suffix = ".azure-pipelines.yaml"

    def render(self, plan: Plan, _options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the job.

        Raises:
            Refused: The plan is a canary, which the strategy `rolling` cannot do, or makes new
                instances beside the old ones.
        """
        refuse_beside(plan, self.name)
        if plan.strategy == "canary":
            raise Refused(
                "azure-pipelines: strategy (canary) must be rolling: the canary strategy of Azure "
                "Pipelines is not for virtual machines"
            )
        if not _NAME.fullmatch(plan.service):
            raise Refused(
                f"azure-pipelines: service {plan.service}: is no name of an environment: letters, "
                "digits, dots, dashes, underscores and spaces only"
            )
        lost = tuple(_lost(plan))
        rolling: dict[str, object] = {"maxParallel": str(plan.window)}
        for hook, steps in _HOOKS:
            # Each hook is an agent job of its own, which has the scripts only when it checks them out.
            rolling[hook] = {"steps": [_CHECKOUT, *(_script(plan, step) for step in steps)]}
        if plan.min_ready_s > 0:
            ready = f"sleep {whole_s(plan.min_ready_s)}"
            steps_after = [_NO_CHECKOUT, {"script": ready, "displayName": "Ready for"}]
            rolling["postRouteTraffic"] = {"steps": steps_after}
        rolling["on"] = {
            "failure": {
                "steps": [
                    _NO_CHECKOUT,
                    {
                        "script": "echo '##vso[task.logissue type=error]This machine stays as it is: "
                        "out of the pool from its take-out on'",
                        "displayName": "Say what is left",
                    },
                ]
            }
        }
        job = {
            "deployment": "roll_" + re.sub(r"[^A-Za-z0-9_]", "_", plan.service),
            "displayName": plan.name.replace("$", ""),
            "timeoutInMinutes": str(_longest_min(plan)),
            "environment": {"name": plan.service, "resourceType": "VirtualMachine"},
            "strategy": {"rolling": rolling},
        }
        text = header(plan, self, lost) + yaml_text(
            {"trigger": "none", "pr": "none", "jobs": [job]}
        )
        return Exported(text, lost)

    def command(self, plan: Plan, file: str, _options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command that creates the pipeline without a run, and the one that starts it."""
        name = shlex.quote(plan.service)
        return (
            f"az pipelines create --name {name} --repository REPOSITORY --branch BRANCH --yml-path "
            f"{shlex.quote(file)} --skip-first-run true; this starts the rollout: az pipelines run "
            f"--name {name}"
        )


_CHECKOUT: dict[str, object] = {"checkout": "self"}
_NO_CHECKOUT: dict[str, object] = {"checkout": "none"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


def _script(plan: Plan, step: Step) -> dict[str, object]:
    task: dict[str, object] = {
        "script": f"./{step.value}.sh",
        "displayName": step.replace("_", " ").capitalize(),
        "timeoutInMinutes": str(math.ceil(plan.step_deadlines_s[step] / 60)),
    }
    return task | ({"retryCountOnTaskFailure": str(plan.retries)} if plan.retries else {})


def _longest_min(plan: Plan) -> int:
    """Return the minutes that the job takes when every step of every batch takes its deadline."""
    return math.ceil(math.ceil(len(plan.instances) / plan.window) * one_instance_s(plan) / 60)


def _lost(plan: Plan) -> list[str]:
    losses = [
        "the scripts: take_out.sh, stop.sh, deploy.sh, verify.sh, start.sh and return.sh say what a "
        "step does",
        "order: machines come in the order of the environment",
        "advance: that a batch is a barrier is an assumption, it is not documented",
        "deadlines: are rounded up to whole minutes",
        "artifacts: are downloaded in the hook deploy only; the scripts come from the repository",
        "on failure: whether the machines of later batches are left alone is not documented, and so "
        "assumed",
    ]
    if plan.pause_s > 0:
        losses.append(f"pause ({plan.pause_s:g} s): there is none between batches")
    if plan.min_in_pool > 0:
        losses.append(
            f"minimum in the pool ({plan.min_in_pool}): nobody counts who is up before a batch"
        )
    if plan.on_failure != "halt":
        losses.append(
            f"on failure ({plan.on_failure}): nothing goes on or back by itself; the hook on.failure "
            "only says what is left"
        )
    return [*losses, *unwatched_limits(plan)]
