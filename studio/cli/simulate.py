"""``rollcast simulate``: one candidate, as the scenario says it."""

from __future__ import annotations

from studio.cli import options as o


def simulate(
    scenario: o.ScenarioPath,
    seed: o.Seed = None,
    replications: o.Replications = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    cluster: o.Cluster = None,
    sets: o.Sets = None,
    json: o.Json = False,
    csv: o.Csv = None,
    html: o.Html = None,
    requests: o.Requests = None,
    quiet: o.Quiet = False,
) -> None:
    """Simulate a scenario as it stands and print every figure."""
    from simulation.study.case import cases_of
    from simulation.study.notes import notes_json
    from studio.cli import tables
    from studio.cli.answers.compare_answer import print_notes
    from studio.reports.files import write_frame
    from studio.views.answers.runs_text import occurrence_text, planned_text
    from studio.views.figures_text import verdict_sentence, waits_sentence
    from studio.views.sentences import LOSSES_HEADING, loss_table

    tables.must_name_a_table(requests)
    o.must_be_writable(scenario, csv, html, requests)
    file = o.load_file(scenario, sets, seed, replications)
    loaded = file.scenario
    execution = o.make_execution(engine, jobs, cluster, quiet=quiet)
    comparison, rows = o.run_study(
        loaded,
        cases_of(loaded),
        execution,
        path=scenario,
        quiet=quiet,
        keep_requests=requests is not None,
    )
    if csv is not None:
        write_frame(csv, tables.figures_frame(comparison))
    if html is not None:
        o.write_report(html, comparison, file.text)
    if requests is not None:
        write_frame(requests, tables.requests_frame(comparison, rows))
    if json:
        notes = notes_json(comparison.notes())
        answer = {**comparison.candidate_json(0), "control": comparison.control_json()}
        o.print_json({**answer, "notes": notes})
        return
    console = tables.answer_console()
    if loaded.rollout is not None:
        console.print(f"{verdict_sentence(comparison, 0)}.", style="bold")
        for reason in comparison.candidates[0].verdict.reasons:
            console.print(f"  {reason}")
        console.print()
    console.print(tables.metrics_table(comparison, 0))
    failed = comparison.candidates[0].occurrence("failed_requests")
    if failed is not None:
        console.print(f"\nRequests: {occurrence_text(failed, 'lost')}.")
    lost = loss_table(comparison.candidates[0].losses(), len(comparison.candidates[0].runs))
    if lost is not None:
        console.print(f"\n{LOSSES_HEADING}:")
        console.print(tables.text_table(lost.headings, lost.rows))
    went = waits_sentence(comparison.candidates[0])
    if went:
        console.print(f"\n{went}.")
    print_notes(console, comparison)
    console.print(f"\n{planned_text(comparison.planned)}.", style="dim")
