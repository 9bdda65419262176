"""``rollcast plan``: the fastest candidate that meets the objectives, or a named one, as a validated plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.base.errors import BadInput, Refused
from studio.cli import options as o
from studio.cli.answers.alternatives import SearchChanges

if TYPE_CHECKING:
    from simulation.planning.alternatives.model import Alternatives
    from simulation.planning.search_result import SearchResult
    from simulation.scenario.model import Scenario
    from simulation.study.execution import Execution


def plan(
    scenario: o.ScenarioPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The plan file to write.")
    ],
    window: Annotated[
        str | None,
        typer.Option(
            metavar="N|P%",
            help="Plan this window (default: the fastest that meets the objectives).",
        ),
    ] = None,
    windows: o.Windows = None,
    drain_timeouts: o.DrainTimeouts = None,
    advance: o.Advances = None,
    starts: o.Starts = None,
    valid_for: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="How long the plan is valid: the rollout must begin within this time from now, with unit.",
        ),
    ] = "7d",
    accept_missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OBJECTIVE",
            help="Accept that this objective does not hold even without a rollout, such as latency_p99; "
            "repeatable (default: such a candidate becomes no plan).",
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY", help="Sign the plan with this Ed25519 private key (default: unsigned)."
        ),
    ] = None,
    seed: o.Seed = None,
    replications: o.Replications = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    cluster: o.Cluster = None,
    sets: o.Sets = None,
    changes: SearchChanges = True,
    json: o.Json = False,
    quiet: o.Quiet = False,
    all_rows: o.AllRows = False,
) -> None:
    """Search for the fastest candidate that meets the objectives, confirm it, write its plan."""
    from simulation.planning.alternatives.find import tried_in_search
    from simulation.planning.make_plan import planned_service
    from simulation.planning.search import search
    from simulation.planning.starts import starts_of
    from simulation.scenario.rollout import parse_window
    from simulation.scenario.units import parse_duration_s
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from simulation.study.store import Store
    from studio.cli.answers.alternatives import find_changes

    if window is not None and windows is not None:
        raise BadInput("--window and --windows: must not both be given")
    o.must_be_writable(scenario, output)
    if sign is not None:
        from executor.plan.signing import private_key

        private_key(sign)  # refuses an unusable key before anything is simulated
    loaded = o.load(scenario, sets, seed, replications)
    if loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, there is nothing to plan")
    valid_for_s = o.one_value("--valid-for", valid_for, parse_duration_s)
    if valid_for_s == 0:
        raise BadInput(f"--valid-for {valid_for}: must be above 0")
    if window is not None:
        chosen = [o.one_value("--window", window, parse_window)]
    else:
        chosen = o.comma_list("--windows", windows, parse_window) or [
            *default_windows(loaded).windows
        ]
    accepted = _accepted_objectives(loaded, accept_missing or [])
    cases = cases_of(
        loaded,
        chosen,
        o.comma_list("--drain-timeouts", drain_timeouts, parse_duration_s),
        starts_of(starts, "--starts", loaded),
        o.comma_list("--advance", advance, o.parse_advance),
    )
    planned_service(loaded)
    execution = o.make_execution(engine, jobs, cluster, quiet=quiet)
    with Store.beside(scenario) as store, o.report_search(quiet or json) as report_progress:
        result = search(
            loaded,
            cases,
            replace(execution, store=store),
            accepted=accepted,
            on_progress=report_progress,
        )
    assert result is not None
    result = _explain(result, scenario, execution, quiet=quiet or json)
    alternatives = None
    if changes and result.chosen is None:
        alternatives = find_changes(
            loaded, tried_in_search(result), execution, path=scenario, quiet=quiet or json
        )
    if json:
        _print_json(result, alternatives, output, valid_for_s, sign)
    else:
        _print_answer(result, alternatives, output, valid_for_s, sign, all_rows=all_rows)


def _print_json(
    result: SearchResult,
    alternatives: Alternatives | None,
    output: Path,
    valid_for_s: float,
    sign: Path | None,
) -> None:
    """Write the plan, if there is one, and print the search as JSON.

    Raises:
        Refused: No candidate meets the objectives.
    """
    from studio.cli.answers.plan_answer import refusal, search_json, write_search_result

    if result.chosen is not None:
        write_search_result(result, output, valid_for_s, sign)
    o.print_json(search_json(result, alternatives))
    if result.chosen is None:
        raise refusal(result)


def _print_answer(
    result: SearchResult,
    alternatives: Alternatives | None,
    output: Path,
    valid_for_s: float,
    sign: Path | None,
    *,
    all_rows: bool,
) -> None:
    """Write the plan, if there is one, and print the answer with the table.

    Raises:
        Refused: No candidate meets the objectives.
    """
    from studio.cli.answers.alternatives import print_alternatives
    from studio.cli.answers.plan_answer import (
        has_remedy,
        print_search_result,
        write_search_result,
    )
    from studio.cli.tables import answer_console

    try:
        *answer, written = write_search_result(result, output, valid_for_s, sign)
    except Refused:
        print_search_result(result, (), all_rows=all_rows)
        # "No single change helps" beside the change that helps a candidate would be two answers.
        if alternatives is not None and (alternatives.offered or not has_remedy(result)):
            print_alternatives(answer_console(), alternatives)
        raise
    print_search_result(result, answer, all_rows=all_rows)
    print(written)


def _accepted_objectives(scenario: Scenario, keys: list[str]) -> list[str]:
    """Return the keys of the objectives that may be missed without a rollout too.

    Raises:
        BadInput: A key names no objective of the scenario that can be missed so.
    """
    from executor.base.yaml_positions import nearest_hint
    from simulation.study.judging.objectives import keys_that_may_be_missed

    known = keys_that_may_be_missed(scenario)
    for key in keys:
        if key not in known:
            names = ", ".join(known) or "none"
            raise BadInput(
                f"--accept-missing {key}: must be an objective of the scenario on its requests, which are: "
                f"{names}{nearest_hint(key, known)}"
            )
    return keys


def _explain(found: SearchResult, path: Path, execution: Execution, *, quiet: bool) -> SearchResult:
    """Return the result with a diagnosis at the failing candidates that are named.

    Raises:
        BadInput: The cluster or the store cannot be used.
    """
    from simulation.planning.evidence import listed_candidates
    from simulation.planning.explain_search import explain_search
    from studio.cli.answers.explaining import explaining
    from studio.cli.answers.plan_answer import NAMED_WHEN_REFUSED

    numbers = listed_candidates(found)[:NAMED_WHEN_REFUSED]
    with explaining(execution, path, quiet=quiet) as (with_store, report_progress):
        return explain_search(found, numbers, with_store, on_progress=report_progress)
