"""A plan as a patch of a Kubernetes Deployment or StatefulSet.

Source of the fields and their rules: `apps/v1` DeploymentSpec and the deployment controller, whose
rounding is in `executor.dialects.kubernetes`. The controller makes a new pod as soon as an old one is
marked for removal, so only a plan with replacement `beside` is exported for a Deployment.
"""

from __future__ import annotations

import shlex

from executor.base.errors import BadInput, Refused
from executor.exports.base import (
    NO_OPTIONS,
    Exported,
    ReleaseOptions,
    header,
    in_flight_s,
    one_instance_s,
    unwatched_limits,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan.model import Plan


class Kubernetes:
    """An export as a patch of a Deployment, or of a StatefulSet where the plan is for one."""

    name = "kubernetes"
    title = "Kubernetes"
    about = "a patch of the Deployment or StatefulSet"
    suffix = ".patch.yaml"

    def render(self, plan: Plan, options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the patch.

        Raises:
            Refused: The plan is a canary or replaces instances in place, or its pre-stop needs the
                name of a container that is not known.
            BadInput: An option does not fit the plan.
        """
        if plan.strategy == "canary":
            raise Refused(
                "kubernetes: strategy (canary) must be rolling: a Deployment has no bakes between "
                "waves; argo-rollouts has"
            )
        kind = kind_of(plan, "Deployment")
        if kind == "Rollout":
            raise Refused("kubernetes: workload (Rollout) is one of Argo's: --to argo-rollouts")
        spec: dict[str, object] = {"minReadySeconds": whole_s(plan.min_ready_s)}
        if kind == "StatefulSet":
            spec["updateStrategy"] = {"type": "RollingUpdate"}
            lost = losses_of_stateful_set(plan)
        else:
            refuse_in_place(plan, self.name)
            spec["progressDeadlineSeconds"] = progress_deadline_s(plan)
            spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": limits(plan)}
            lost = losses_of_pods(plan)
        pod: dict[str, object] = {"terminationGracePeriodSeconds": grace_s(plan)}
        if container := _container(plan, options):
            pod["containers"] = [container]
        spec["template"] = {"spec": pod}
        losses = (*without_image(options), *lost)
        text = header(plan, self, losses, options) + yaml_text({"spec": spec})
        return Exported(text, losses)

    def command(self, plan: Plan, file: str, options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command that applies the patch."""
        kind = kind_of(plan, "Deployment").lower()
        return (
            f"kubectl patch {kind} {target_words(plan, options)} --patch-file {shlex.quote(file)}"
        )


def kind_of(plan: Plan, otherwise: str) -> str:
    """Return the kind of the plan's workload, or ``otherwise`` where the plan has none."""
    return otherwise if plan.workload is None else plan.workload.kind


def target_words(plan: Plan, options: ReleaseOptions) -> str:
    """Return the workload for a command line: its name, and its namespace where one is known."""
    workload = plan.workload
    name = plan.service if workload is None else workload.name
    namespace = options.namespace or (None if workload is None else workload.namespace)
    namespace_option = f" -n {shlex.quote(namespace)}" if namespace else ""
    return f"{shlex.quote(name)}{namespace_option}"


def container_of(plan: Plan, options: ReleaseOptions) -> str | None:
    """Return the container that serves, by the option or by the plan; None where neither names one."""
    return options.container or (None if plan.workload is None else plan.workload.container)


def container_for(plan: Plan, options: ReleaseOptions, tool: str) -> str | None:
    """Return the container that serves; None where neither image nor pre-stop needs its name.

    Raises:
        BadInput: The option `--image` needs the container's name, which is not known.
        Refused: The plan's pre-stop needs the container's name, which is not known.
    """
    name = container_of(plan, options)
    if name is not None:
        return name
    if options.image is not None:
        raise BadInput(
            f"{tool}: --image {options.image}: the plan names no container: --container NAME"
        )
    if plan.stop.pre_stop_s > 0:
        raise Refused(
            f"{tool}: pre-stop ({plan.stop.pre_stop_s:g} s) stands in a container, and the plan "
            "names none: --container NAME"
        )
    return None


def refuse_in_place(plan: Plan, tool: str) -> None:
    """Refuse a plan that stops each instance before it starts the new one.

    Raises:
        Refused: The plan replaces in place, but the controller starts the new pod at once.
    """
    if plan.replacement == "in_place":
        raise Refused(
            f"{tool}: replacement (in_place) must be beside: the controller starts a new pod as soon "
            "as an old one is marked for removal, so the plan's forecast would not hold; plan it as "
            "the controller rolls with --set rollout.replacement=beside"
        )


def limits(plan: Plan) -> dict[str, object]:
    """Return surge and unavailable, as percentages where the scenario has percentages."""
    if plan.as_written is not None:
        return {"maxSurge": plan.as_written.surge, "maxUnavailable": plan.as_written.window}
    return {
        "maxSurge": plan.surge,
        "maxUnavailable": len(plan.instances) - plan.least_available,
    }


def progress_deadline_s(plan: Plan) -> int:
    """Return the deadline of one pod's progress, in seconds; it must exceed `minReadySeconds`."""
    wanted_s = plan.progress_deadline_s or one_instance_s(plan)
    return max(whole_s(wanted_s), whole_s(plan.min_ready_s) + 1)


def grace_s(plan: Plan) -> int:
    """Return the grace period, in seconds from the begin of the termination; it includes pre-stop."""
    return max(whole_s(in_flight_s(plan)), whole_s(plan.stop.pre_stop_s) + 1)


def _container(plan: Plan, options: ReleaseOptions) -> dict[str, object]:
    """Return the container of the patch with its image and its sleep before the stop; or nothing.

    The patch removes an existing pre-stop hook, since a container may have only one.

    Raises:
        BadInput, Refused: As `container_for` says.
    """
    name, pre_stop_s = container_for(plan, options, "kubernetes"), whole_s(plan.stop.pre_stop_s)
    if name is None:
        return {}
    fields: dict[str, object] = {}
    if options.image is not None:
        fields["image"] = options.image
    if pre_stop_s > 0:
        hook = {"exec": None, "httpGet": None, "tcpSocket": None, "sleep": {"seconds": pre_stop_s}}
        fields["lifecycle"] = {"preStop": hook}
    return {"name": name, **fields} if fields else {}


def without_image(options: ReleaseOptions) -> tuple[str, ...]:
    """Return a sentence about what an export without an image does not do; empty with an image."""
    if options.image is not None:
        return ()
    return (
        "image: none is named (--image REF), so this changes settings and is no release; where the pod "
        "template differs from what runs, applying it restarts every pod with the old image",
    )


def losses_of_pods(plan: Plan, *, advances: str = "always slides") -> list[str]:
    """Return the losses where a controller replaces pods within surge and unavailable.

    Args:
        plan: The plan that is exported.
        advances: How the tool advances within a wave, as a verb phrase.
    """
    at_most = len(plan.instances) - plan.least_available + plan.surge
    losses = [*_failure(plan, at_most), *_common(plan)]
    if plan.drain.on_timeout == "abort":
        losses.append("drain: what is still in flight at the end of the grace period is cut")
    if plan.advance == "batch" and advances == "always slides":
        losses.append(
            f"advance (batch): the controller {advances}, so the next begins with each that is done"
        )
    return [*losses, *unwatched_limits(plan)]


def losses_of_stateful_set(plan: Plan) -> list[str]:
    """Return the losses where a StatefulSet replaces its pods one by one."""
    losses = [
        f"on failure ({plan.on_failure}): the controller stops at a pod that does not become ready, "
        "says so in no condition, and never rolls back; deadlines are not watched",
        *_common(plan, order="the controller replaces the highest ordinal first"),
    ]
    return [*losses, *unwatched_limits(plan)]


def _failure(plan: Plan, at_most: int) -> list[str]:
    """Return what the controller does about a pod that never becomes ready; nothing with a budget.

    Measured on a real one: `tests/data/oracles/kubernetes_failing_pods.csv`.
    """
    if plan.on_failure == "budget":
        return []
    difference = {
        "halt": "does not halt",
        "continue": f"counts no failures (the plan allows {plan.max_failures})",
        "rollback": "does not roll back",
    }[plan.on_failure]
    return [
        f"on failure ({plan.on_failure}): the controller {difference}: a pod that never becomes ready keeps "
        f"its place and the others roll on, until {at_most} such pods use up the budget; then it "
        "only reports ProgressDeadlineExceeded"
    ]


def _common(
    plan: Plan, order: str = "which pods are replaced first is the controller's choice"
) -> list[str]:
    return [
        f"replicas: the plan is for {len(plan.instances)}; the patch leaves them as they are",
        f"order: {order}, whatever the plan's order is",
        "verify: becomes the pod's own readiness probe, which must tell the version",
    ]
