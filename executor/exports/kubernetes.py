"""A plan as the strategy of a Kubernetes Deployment.

Source of the fields and their rules: `apps/v1` DeploymentSpec and the deployment controller, whose
rounding is in `executor.dialects.kubernetes`.
"""

from __future__ import annotations

from executor.errors import Refused
from executor.exports.base import (
    Exported,
    file_name,
    header,
    in_flight_s,
    one_instance_s,
    unwatched,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan import Plan


class Kubernetes:
    """A patch for a Deployment: nothing surges, the window may be unavailable."""

    name = "kubernetes"
    words = "Kubernetes Deployment: a patch of its strategy"
    suffix = ".deployment-patch.yaml"

    def render(self, plan: Plan) -> Exported:
        """The patch.

        Raises:
            Refused: The plan is a canary, for which a Deployment has no words.
        """
        if plan.strategy == "canary":
            raise Refused(
                "kubernetes: strategy (canary) must be rolling: a Deployment has no bakes between "
                "waves; argo-rollouts has"
            )
        lost = tuple(lost_by_pods(plan, advances="always slides"))
        data = {"spec": pod_spec(plan) | {"strategy": _strategy(plan), "template": template(plan)}}
        return Exported(header(plan, self, lost, file_name(plan, self)) + yaml_text(data), lost)

    def command(self, plan: Plan, file: str) -> str:
        """How the patch is applied."""
        return f"kubectl patch deployment {plan.service} --patch-file {file}"


def _strategy(plan: Plan) -> dict[str, object]:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": plan.window},
    }


def pod_spec(plan: Plan) -> dict[str, object]:
    """The fields that a Deployment and a Rollout share; the deadline exceeds what it must."""
    ready_s = whole_s(plan.min_ready_s)
    return {
        "minReadySeconds": ready_s,
        "progressDeadlineSeconds": max(whole_s(one_instance_s(plan)), ready_s + 1),
    }


def template(plan: Plan) -> dict[str, object]:
    """The grace period, which counts from the begin of the termination and includes pre-stop."""
    grace_s = max(whole_s(in_flight_s(plan)), whole_s(plan.stop.pre_stop_s) + 1)
    return {"spec": {"terminationGracePeriodSeconds": grace_s}}


def lost_by_pods(plan: Plan, *, advances: str) -> list[str]:
    """What is lost wherever pods take the place of instances.

    Args:
        plan: What is exported.
        advances: How the tool advances within a wave, in words.
    """
    found = [
        f"replicas: the plan is for {len(plan.instances)}; the patch leaves them as they are",
        "order: which pods are replaced first is the controller's choice, not the plan's",
        "drain: a new pod starts while the old one still ends its requests, and pods that end are "
        "not counted, so more than the replicas may run at once",
        "the grace period stands in the pod template: changed alone it is a rollout of its own, so "
        "apply it together with the new image",
    ]
    if plan.stop.pre_stop_s > 0:
        found.append(
            f"pre-stop ({plan.stop.pre_stop_s:g} s): stands in the container, whose name the plan "
            "does not know; add lifecycle.preStop.sleep to it"
        )
    if plan.drain.on_timeout == "abort":
        found.append("drain: what is still in flight at the end of the grace period is cut")
    if plan.advance == "batch" and advances == "always slides":
        found.append(
            f"advance (batch): the controller {advances}, so the next begins with each that is done"
        )
    if plan.advance == "sliding" and plan.pause_s > 0:
        found.append(f"pause ({plan.pause_s:g} s): there is none between two pods")
    if plan.on_failure != "halt" and advances == "always slides":
        found.append(
            f"on failure ({plan.on_failure}): the controller stops advancing and says so; it neither "
            "goes on nor rolls back"
        )
    found.append("verify: becomes the pod's own readiness probe, which must tell the version")
    return [*found, *unwatched(plan)]
