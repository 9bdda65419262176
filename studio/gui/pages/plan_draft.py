"""What is looked at, as a plan: with every check, and why it may not be written yet.

Enters: a document. Leaves: a `PlanDraft`, the same one until the document says something else, so that pages
that show it show the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from executor.base.errors import RollcastError
from executor.plan.model import Plan
from executor.plan.rules import checks
from simulation.planning.make_plan import draft_plan, outline_plan, self_contained
from simulation.scenario.model import Scenario
from simulation.study.candidates import candidates_of
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun
from studio.rollouts.kept_rollouts import ScenarioKey, key_of_plan, scenario_key
from studio.views.graph import OutageInterval, spells, typical_run

_SIMULATED = (
    "the objectives hold with the stated confidence",
    "the prediction is of all the runs that were made",
    "the prediction is what a search confirmed, where there was one",
)
"""Checks of a prediction; what is not simulated has none to check."""


@dataclass(frozen=True)
class PlanDraft:
    """A plan in the making.

    Attributes:
        plan: None when what stands there is nothing that a plan can tell.
        scenario: What it is of.
        run: The run that it is made of; None when nothing is simulated of it.
        checks: Each with what breaks it.
        refusal_text: Why it may not be written; empty when it may.
    """

    plan: Plan | None
    scenario: Scenario
    run: KeptRun | None
    checks: tuple[tuple[str, tuple[str, ...]], ...]
    refusal_text: str

    @cached_property
    def key(self) -> ScenarioKey | None:
        """The scenario that it is of, other files included; None where no plan can tell it."""
        if self.plan is None or self.run is not None:
            return None if self.plan is None else key_of_plan(self.plan)
        try:  # what is not simulated still refers to its trace
            (own,) = candidates_of(self.scenario, (self.scenario.window_count(),))
            return scenario_key(self.plan.name, self_contained(self.scenario, own).as_data())
        except RollcastError:
            return None

    def outages(self) -> dict[str, OutageInterval] | None:
        """When each instance is rolled in a typical run; None when nothing is simulated."""
        if self.plan is None or self.run is None:
            return None
        one = typical_run(self.run.result.runs)
        return None if one is None else spells(self.scenario, self.plan.service, one)


class Drafts:
    """The draft of a document, made when it is asked for and another is due."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._of: object = None
        self._draft: PlanDraft | None = None

    def current(self) -> PlanDraft:
        """The plan of what is looked at; of what stands in the fields where that is newer."""
        document = self._document
        run = None if document.is_stale else document.current_run
        of: object = document.state if run is None else (run.key, len(run.result.runs))
        if self._draft is None or of != self._of:
            self._of, self._draft = of, _draft_of(document, run)
        return self._draft


def _draft_of(document: Document, run: KeptRun | None) -> PlanDraft:
    scenario = document.scenario if run is None else run.scenario
    try:
        plan = outline_plan(scenario) if run is None else draft_plan(scenario, run.result)
    except RollcastError as error:
        return PlanDraft(None, scenario, run, (), str(error))
    made = [(promise, tuple(broken)) for promise, broken in checks(plan, datetime.now(UTC))]
    if run is None:
        made = [one for one in made if one[0] not in _SIMULATED]
        changed = document.is_stale
        missing = "the change is not simulated yet" if changed else "simulate it first (F5)"
        made.append(("what stands in the fields is simulated", (missing,)))
    else:
        there, asked = len(run.result.runs), scenario.replications
        missing_runs = (f"runs ({there}) must be the {asked} that are asked for",)
        made.append(
            ("all runs that were asked for are made", missing_runs if there < asked else ())
        )
        reasons = run.result.verdict.reasons
        made = [
            (promise, (*broken, *reasons) if promise == _SIMULATED[0] and broken else broken)
            for promise, broken in made
        ]
    first = next((broken[0] for _, broken in made if broken), "")
    return replace(PlanDraft(plan, scenario, run, tuple(made), ""), refusal_text=first)
