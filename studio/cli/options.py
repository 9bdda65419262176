"""What several commands share: their options, the scenario, the simulation with its progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from executor.base.errors import BadInput
from executor.base.yaml_positions import shorten_value

if TYPE_CHECKING:
    from simulation.scenario.file import ScenarioFile
    from simulation.scenario.model import Scenario
    from simulation.study.candidates import Candidate
    from simulation.study.compare import Comparison
    from simulation.study.rows import Row
    from simulation.study.time_left import Eta

Value = TypeVar("Value")


MOST_JOBS = 1024
"""Maximum number of processes that may be asked for."""


def whole_number(option: str, least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """A parser of whole numbers from ``least`` to ``most``, which says what was given."""

    def parse(text: str) -> int:
        # Python refuses to read numbers of more than 4,300 digits
        if text.isdecimal() and (len(text) > 40 or int(text) > most):
            raise BadInput(f"{option} {shorten_value(text)}: must be at most {most:,}")
        if not text.isdecimal() or int(text) < least:
            raise BadInput(f"{option} {text}: must be a whole number, at least {least}")
        return int(text)

    return parse


ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario file.")]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--seed", 0), metavar="N", help="Random seed (default: the scenario's)."
    ),
]
Replications = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--replications", 1),
        metavar="N",
        help="Number of simulated runs of each candidate (default: the scenario's).",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="auto|compiled|reference",
        help="Simulation engine; auto takes the compiled one where it can run the scenario.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--jobs", 1, MOST_JOBS),
        metavar="N",
        help="Number of worker processes (default: one per processor core).",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a dask scheduler whose workers simulate (default: simulate on this machine).",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Set a key of the scenario; repeatable (default: the file's values).",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object instead of a table.")
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", help="Also write every figure to this CSV file (default: none)."
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Also write the result as an HTML page (default: none)."
    ),
]
Requests = Annotated[
    Path | None,
    typer.Option(
        "--requests",
        metavar="FILE.csv|.parquet",
        help="Also write a table with one row per simulated request (default: none).",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print no progress.")]
Windows = Annotated[
    str | None,
    typer.Option(
        metavar="1,2,25%",
        help="Windows to compare: instances replaced at once, as counts or percentages of the fleet "
        "(default: a few that suit the fleet, unless another option varies something).",
    ),
]

DrainTimeouts = Annotated[
    str | None,
    typer.Option(
        metavar="10s,30s",
        help="Drain timeouts to compare, with unit (default: the scenario's).",
    ),
]
Advances = Annotated[
    str | None,
    typer.Option(
        metavar="sliding,batch",
        help="Ways to advance to compare: sliding or batch (default: the scenario's).",
    ),
]
Starts = Annotated[
    str | None,
    typer.Option(
        metavar="09:00,every:30m,02:00..06:00/10m",
        help="Starts to compare, as times on the traffic's clock; every:30m goes through the whole trace, "
        "or a day (default: the scenario's).",
    ),
]


def parse_advance(word: str) -> str:
    """A way to advance.

    Raises:
        ValueError: There is no such way.
    """
    if word not in ("sliding", "batch"):
        raise ValueError("must be sliding or batch")
    return word


def load(
    path: Path,
    sets: Sequence[str] | None,
    seed: int | None = None,
    replications: int | None = None,
) -> Scenario:
    """The scenario of a file with the common options over it.

    Raises:
        BadInput: The file or an option is wrong.
    """
    return load_file(path, sets, seed, replications).scenario


def load_file(
    path: Path,
    sets: Sequence[str] | None,
    seed: int | None = None,
    replications: int | None = None,
) -> ScenarioFile:
    """The same with its text.

    Raises:
        BadInput: The file or an option is wrong.
    """
    from simulation.scenario.file import ScenarioFile

    given = list(sets or ())
    given += [f"seed={seed}"] if seed is not None else []
    given += [f"replications={replications}"] if replications is not None else []
    return ScenarioFile.load(path, given)


def get_ready(engine: str, quiet: bool) -> None:
    """Compiles the fast engine where that is wanted and has not been done, with a word about it.

    Raises:
        BadInput: There is no such engine.
    """
    from simulation.engines.compiled.code_cache import ENGINES, is_ready
    from simulation.engines.compiled.prepare import prepare

    if engine not in ENGINES:
        raise BadInput(f"--engine {engine}: must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if engine != "reference" and not is_ready():
        if not quiet:
            print("rollcast: compiling the fast engine, once; about 15 s", file=sys.stderr)
        prepare()


def comma_list(option: str, text: str | None, parse: Callable[[str], Value]) -> list[Value]:
    """The values of an option such as ``--windows 1,2,25%``.

    Raises:
        BadInput: A value breaks its rule.
    """
    if text is None:
        return []
    values = []
    for word in text.split(","):
        try:
            values.append(parse(word.strip()))
        except ValueError as error:
            raise BadInput(
                f"{option} {shorten_value(text)}: {shorten_value(word.strip() or 'nothing')}: {error}"
            ) from None
    return values


def one_value(option: str, text: str, parse: Callable[[str], Value]) -> Value:
    """The value of an option that takes no more than one.

    Raises:
        BadInput: There are several, or it breaks its rule.
    """
    values = comma_list(option, text, parse)
    if len(values) > 1:
        raise BadInput(f"{option} {text}: must be one value")
    return values[0]


def must_be_writable(scenario: Path, *paths: Path | None) -> None:
    """Refuses a file that could not be written, before anything is computed for it.

    Raises:
        BadInput: Its folder is missing, it is a folder itself, or it is the scenario.
    """
    for path in paths:
        if path is None:
            continue
        if path.exists() and scenario.exists() and path.samefile(scenario):
            raise BadInput(f"{path}: cannot be written: is the scenario itself")
        if path.is_dir():
            raise BadInput(f"{path}: cannot be written: is a directory")
        if not path.parent.is_dir():
            raise BadInput(f"{path}: cannot be written: no such directory: {path.parent}")


def run_study(
    scenario: Scenario,
    candidates: Sequence[Candidate],
    *,
    path: Path | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    quiet: bool = False,
    engine: str = "auto",
    keep_requests: bool = False,
    landed: Callable[[Comparison, Eta], None] | None = None,
) -> tuple[Comparison, list[Row]]:
    """Runs the study, with progress on standard error when that is a terminal.

    Args:
        scenario: What is simulated.
        candidates: What is compared.
        path: The scenario's file, beside which results are stored; None to store none.
        jobs: How many processes.
        cluster: The address of a scheduler whose workers simulate.
        quiet: Whether no progress is shown.
        engine: One of `simulation.engines.compiled.code_cache.ENGINES`.
        keep_requests: Whether results carry every request.
        landed: Called with the comparison so far, at most twice a second.

    Raises:
        BadInput: What is asked for does not go together, or `run_rows` raises it.
    """
    import time

    from simulation.study.compare import compare
    from simulation.study.rows import run_rows
    from simulation.study.store import Store
    from simulation.study.time_left import Eta

    must_be_one_place(jobs, cluster)
    rows: list[Row] = []
    pace = Eta(scenario.replications)
    told_at = time.monotonic()
    with (
        nullcontext() if path is None else Store.beside(path) as store,
        progress_bar(quiet) as told,
    ):
        told("replications", pace)
        for row in run_rows(
            scenario,
            candidates,
            jobs=jobs,
            cluster=cluster,
            engine=engine,
            keep_requests=keep_requests,
            store=store,
        ):
            rows.append(row)
            pace.record_result(was_stored=row.was_stored)
            told("replications", pace)
            if landed is not None and time.monotonic() - told_at > 0.5:
                landed(compare(scenario, candidates, rows), pace)
                told_at = time.monotonic()
    return compare(scenario, candidates, rows), rows


def must_be_one_place(jobs: int | None, cluster: str | None) -> None:
    """Refuses to simulate both here and elsewhere.

    Raises:
        BadInput: Both are asked for.
    """
    if jobs is not None and cluster is not None:
        raise BadInput("--jobs and --cluster: must not both be given")


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, Eta], None]]:
    """What is told what is being done, and how far it is; shows it where there is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from studio.views.figures_text import time_left_text

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[left]}")
    shorten_value = [TextColumn(one) if isinstance(one, str) else one for one in columns]
    hidden = quiet or not sys.stderr.isatty()
    with Progress(
        *shorten_value, console=Console(stderr=True), transient=True, disable=hidden
    ) as progress:
        task = progress.add_task("", left="")

        def told(what: str, pace: Eta) -> None:
            left = time_left_text(pace.left_s())
            progress.update(
                task, description=what, completed=pace.done, total=pace.total, left=left
            )

        yield told


@contextmanager
def report_search(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """The same for a search, which does one thing after another: what, how many, of how many."""
    from simulation.study.time_left import Eta

    with progress_bar(quiet) as bar:
        pace = Eta(0)

        def told(what: str, done: int, total: int) -> None:
            nonlocal pace
            if done == 0:
                pace = Eta(total)
            else:
                pace.record_result(was_stored=False)
            bar(what, pace)

        yield told


def write_report(path: Path, comparison: Comparison, text: str) -> None:
    """Writes what was compared as one page, with the scenario's text in it.

    Raises:
        BadInput: The file cannot be written.
    """
    from executor.base.files import atomic_write_text
    from studio.reports.comparison_report import comparison_report

    atomic_write_text(path, comparison_report(comparison, text))


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object; where the stream is no Unicode, with JSON's own escapes."""
    import json

    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    print(json.dumps(data, indent=1, ensure_ascii=not is_unicode, allow_nan=False))
