"""The plan of the selected run as a draft: its checks, and why it cannot be exported yet.

`Drafts` makes a `PlanDraft` once per state of the document, so that all pages show the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from executor.base.errors import RollcastError
from executor.plan.model import Plan
from executor.plan.rules import OBJECTIVES_HOLD, PREDICTION_CHECKS, checks
from simulation.planning.make_plan import draft_plan, outline_plan, self_contained
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun
from studio.rollouts.kept_rollouts import ScenarioKey, key_of_plan, scenario_key
from studio.views.graph import OutageInterval, spells, typical_run


@dataclass(frozen=True)
class PlanDraft:
    """A plan that is not exported yet.

    Attributes:
        plan: The plan; None where the scenario cannot be written as one.
        scenario: The scenario of the plan.
        run: The run that the plan is made from; None when nothing is simulated.
        checks: Each check, with the reasons why it fails.
        refusal_text: Why the plan cannot be exported; empty when it can.
    """

    plan: Plan | None
    scenario: Scenario
    run: KeptRun | None
    checks: tuple[tuple[str, tuple[str, ...]], ...]
    refusal_text: str

    @cached_property
    def key(self) -> ScenarioKey | None:
        """A key of the scenario, its trace files included; None where it cannot be written as a plan."""
        if self.plan is None or self.run is not None:
            return None if self.plan is None else key_of_plan(self.plan)
        try:  # a scenario that is not simulated may still refer to its trace file
            (own,) = cases_of(self.scenario, (self.scenario.window_count(),))
            return scenario_key(self.plan.name, self_contained(own.scenario).as_data())
        except RollcastError:
            return None

    def outages(self) -> dict[str, OutageInterval] | None:
        """Return when each instance is out in a typical run; None when nothing is simulated."""
        if self.plan is None or self.run is None:
            return None
        run = typical_run(self.run.result.runs)
        return None if run is None else spells(self.scenario, self.plan.service, run)


class Drafts:
    """The drafts of a document, each made on request and kept until the document changes."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._source: object = None
        self._draft: PlanDraft | None = None

    def current(self) -> PlanDraft:
        """Return the plan of the selected run, or of the edited scenario where that is newer."""
        document = self._document
        run = None if document.is_stale else document.current_run
        source: object = document.state if run is None else (run.key, len(run.result.runs))
        if self._draft is None or source != self._source:
            self._source, self._draft = source, _draft_of(document, run)
        return self._draft


def _draft_of(document: Document, run: KeptRun | None) -> PlanDraft:
    scenario = document.scenario if run is None else run.scenario
    try:
        plan = outline_plan(scenario) if run is None else draft_plan(scenario, run.result)
    except RollcastError as error:
        return PlanDraft(None, scenario, run, (), str(error))
    checks_of_plan = [
        (promise, tuple(broken)) for promise, broken in checks(plan, datetime.now(UTC))
    ]
    if run is None:
        checks_of_plan = [check for check in checks_of_plan if check[0] not in PREDICTION_CHECKS]
        is_edited = document.is_stale
        missing = "the change is not simulated yet" if is_edited else "simulate it first (F5)"
        checks_of_plan.append(("the edited scenario is simulated", (missing,)))
    else:
        run_count, wanted_count = (
            len(run.result.runs),
            scenario.replications or run.result.planned_count,
        )
        reason = (f"runs ({run_count}) must be all {wanted_count} replications",)
        checks_of_plan.append(
            ("all replications are simulated", reason if run_count < wanted_count else ())
        )
        reasons = run.result.verdict.reasons
        checks_of_plan = [
            (promise, (*broken, *reasons) if promise == OBJECTIVES_HOLD and broken else broken)
            for promise, broken in checks_of_plan
        ]
    first_reason = next((broken[0] for _, broken in checks_of_plan if broken), "")
    return replace(
        PlanDraft(plan, scenario, run, tuple(checks_of_plan), ""), refusal_text=first_reason
    )
