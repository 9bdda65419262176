"""The targets of `rollcast export`: the other tools, and the plan itself."""

from __future__ import annotations

import difflib

from executor.base.errors import BadInput
from executor.exports.ansible import Ansible
from executor.exports.argo_rollouts import ArgoRollouts
from executor.exports.azure_pipelines import AzurePipelines
from executor.exports.base import NO_OPTIONS, Exported, ExportTarget, ReleaseOptions
from executor.exports.kubernetes import Kubernetes
from executor.plan.file import plan_text
from executor.plan.model import Plan


class PlanItself:
    """An export as a plan for Rollcast's own executor, in which nothing is lost."""

    name = "rollcast"
    title = "Rollcast plan"
    about = "the plan itself, for its own executor"
    suffix = ".plan.json"

    def render(self, plan: Plan, _options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the plan's file."""
        return Exported(plan_text(plan), ())

    def command(self, plan: Plan, file: str, _options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command that carries the plan out."""
        if not plan.is_by_rollcast:
            return f"rollcast export {file} --to {plan.carried_out_by}"
        return f"rollcast execute {file} --inventory INVENTORY"


TARGETS: tuple[ExportTarget, ...] = (
    PlanItself(),
    Kubernetes(),
    ArgoRollouts(),
    Ansible(),
    AzurePipelines(),
)
"""The targets in the order in which the command line and the window offer them."""


def target_of(name: str) -> ExportTarget:
    """Return the target with a name.

    Raises:
        BadInput: There is none; the message names the nearest.
    """
    names = [target.name for target in TARGETS]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise BadInput(f"--to {name}: must be one of {', '.join(names)}{hint}")
    return TARGETS[names.index(name)]
