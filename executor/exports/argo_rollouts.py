"""A plan as the canary of an Argo Rollout without traffic routing.

Source: the Rollout's `spec.strategy.canary`; weights come to pods as `executor.plan.canary_counts`
says. Steps are barriers, within a step it slides.
"""

from __future__ import annotations

from executor.exports.base import Exported, file_name, header, whole_s
from executor.exports.kubernetes import lost_by_pods, pod_spec, template
from executor.exports.yaml_out import yaml_text
from executor.plan import Plan, canary_counts


class ArgoRollouts:
    """A patch for a Rollout: each wave but the last is a weight, each gate a pause."""

    name = "argo-rollouts"
    words = "Argo Rollouts: a patch of the Rollout's canary"
    suffix = ".rollout-patch.yaml"

    def render(self, plan: Plan) -> Exported:
        """The patch."""
        steps, not_met = _steps(plan)
        lost = lost_by_pods(plan, advances="waits for each step")
        if not_met:
            lost.insert(0, not_met)
        if any(wave.gate is not None and wave.gate.kind == "bake" for wave in plan.waves):
            lost.append("bakes: become pauses; what the new version answers in them is not judged")
        if plan.on_failure == "continue":
            lost.append("on failure (continue): the controller stops advancing")
        canary: dict[str, object] = {"maxSurge": 0, "maxUnavailable": plan.window}
        if steps:
            canary["steps"] = steps
        spec = pod_spec(plan)
        spec |= {"progressDeadlineAbort": plan.on_failure == "rollback"}
        spec |= {"strategy": {"canary": canary}, "template": template(plan)}
        text = header(plan, self, tuple(lost), file_name(plan, self)) + yaml_text({"spec": spec})
        return Exported(text, tuple(lost))

    def command(self, plan: Plan, file: str) -> str:
        """How the patch is applied."""
        return f"kubectl patch rollout {plan.service} --type merge --patch-file {file}"


def _steps(plan: Plan) -> tuple[list[dict[str, object]], str]:
    """Weights and pauses, and what of the waves no whole percentage comes to."""
    count, done, steps, wide = len(plan.instances), 0, list[dict[str, object]](), list[str]()
    for number, wave in enumerate(plan.waves[:-1], start=1):
        done += len(wave.instances)
        weight = _weight(done, count)
        if canary_counts([weight / 100], count) != [done]:
            wide.append(str(number))
        steps.append({"setWeight": weight})
        if wave.gate is not None:
            steps.append({"pause": {"duration": f"{whole_s(wave.gate.pause_s)}s"}})
    if not wide:
        return steps, ""
    return steps, f"waves {', '.join(wide)}: no whole percentage of {count} pods comes to them"


def _weight(done: int, count: int) -> int:
    """The whole percentage that comes nearest to so many new pods."""
    return min(
        range(1, 101),
        key=lambda weight: (
            abs(canary_counts([weight / 100], count)[0] - done),
            abs(weight - 100 * done / count),
        ),
    )
