"""A plan as the canary of an Argo Rollout without traffic routing.

Source: the Rollout's `spec.strategy.canary`; `executor.plan.waves.canary_counts` says how its weights
become pods. Each step waits for the step before; within a step pods are replaced one after another.
"""

from __future__ import annotations

import shlex

from executor.base.errors import Refused
from executor.exports.base import NO_OPTIONS, Exported, ReleaseOptions, header, whole_s
from executor.exports.kubernetes import (
    container_for,
    container_of,
    grace_s,
    kind_of,
    limits,
    losses_of_pods,
    progress_deadline_s,
    refuse_in_place,
    target_words,
    without_image,
)
from executor.exports.yaml_out import yaml_text
from executor.plan.model import Plan
from executor.plan.waves import canary_counts


class ArgoRollouts:
    """An export as a patch of a Rollout: each wave but the last is a weight, each gate a pause."""

    name = "argo-rollouts"
    title = "Argo Rollouts"
    about = "a patch of the Rollout's canary"
    suffix = ".rollout-patch.yaml"

    def render(self, plan: Plan, options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the patch.

        The patch does not change the pod template: a merge patch replaces lists, so a container would
        lose every field that the patch does not have, and any change of the template starts a
        rollout. A command of its own sets the image, and so starts the rollout.

        Raises:
            Refused: The plan replaces instances in place or is for another kind of workload, or its
                pre-stop needs the name of a container that is not known.
            BadInput: The option `--image` needs the name of a container that is not known.
        """
        refuse_in_place(plan, self.name)
        kind = kind_of(plan, "Rollout")
        if kind == "StatefulSet":
            raise Refused(
                "argo-rollouts: workload (StatefulSet) must be a Rollout: --to kubernetes"
            )
        container_for(plan, options, self.name)
        steps, not_met = _steps(plan)
        lost = [*without_image(options), *losses_of_pods(plan, advances="waits for each step")]
        if not_met:
            lost.insert(0, not_met)
        if kind == "Deployment":
            lost.insert(0, "workload (Deployment): this patches a Rollout of the same name")
        lost.append(
            f"grace period ({grace_s(plan)} s): must stand in the Rollout's pod template already; a "
            "patch of the template is a rollout of its own, before the one with the new image"
        )
        if plan.stop.pre_stop_s > 0:
            lost.append(
                f"pre-stop ({plan.stop.pre_stop_s:g} s): must stand in the Rollout's container "
                "already; a merge patch would replace the whole list of containers"
            )
        if any(wave.gate is not None and wave.gate.kind == "bake" for wave in plan.waves):
            lost.append("bakes: become pauses; what the new version answers in them is not judged")
        canary: dict[str, object] = dict(limits(plan))
        if steps:
            canary["steps"] = steps
        spec: dict[str, object] = {
            "minReadySeconds": whole_s(plan.min_ready_s),
            "progressDeadlineSeconds": progress_deadline_s(plan),
            "progressDeadlineAbort": plan.on_failure == "rollback",
            "strategy": {"canary": canary},
        }
        text = header(plan, self, tuple(lost), options) + yaml_text({"spec": spec})
        return Exported(text, tuple(lost))

    def command(self, plan: Plan, file: str, options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command that applies the patch and then sets the image."""
        target = target_words(plan, options)
        patch = f"kubectl patch rollout {target} --type merge --patch-file {shlex.quote(file)}"
        if options.image is None:
            return patch
        image = f"{container_of(plan, options)}={options.image}"
        return f"{patch} && kubectl argo rollouts set image {target} {shlex.quote(image)}"


def _steps(plan: Plan) -> tuple[list[dict[str, object]], str]:
    """Return weights and pauses, and a sentence about waves that no whole percentage gives."""
    count, done = len(plan.instances), 0
    steps: list[dict[str, object]] = []
    inexact: list[str] = []
    for number, wave in enumerate(plan.waves[:-1], start=1):
        done += len(wave.instances)
        weight = _weight(done, count)
        if canary_counts([weight / 100], count) != [done]:
            inexact.append(str(number))
        steps.append({"setWeight": weight})
        if wave.gate is not None:
            steps.append({"pause": {"duration": f"{whole_s(wave.gate.pause_s)}s"}})
    if not inexact:
        return steps, ""
    return steps, f"waves {', '.join(inexact)}: no whole percentage of {count} pods comes to them"


def _weight(done: int, count: int) -> int:
    """Return the whole percentage that comes nearest to `done` new pods of `count`."""
    return min(
        range(1, 101),
        key=lambda weight: (
            abs(canary_counts([weight / 100], count)[0] - done),
            abs(weight - 100 * done / count),
        ),
    )
