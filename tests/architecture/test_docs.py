"""Every command, option and path that the documentation names exists.

The tests read code only: fenced blocks and spans. A word in capitals or in
angle brackets stands for a file or a name of the reader.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from studio.cli.app import app
from tests.helpers.paths import ROOT

DOCS = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
    if path.is_file()
]
# Commands of the launcher with their options; they never reach the program.
LAUNCHER = {"test": None, "check": {"--fast"}, "update-expected": set[str]()}
# A path that begins with one of these belongs to the project, any other to the reader.
TREES = (
    *(".ci", "assets", "benchmarks", "docs", "executor", "scenarios", "simulation"),
    *("studio", "tests"),
)

FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PATH = re.compile(rf"(?<![\w./~-])(?:\./)?((?:{'|'.join(map(re.escape, TREES))})/[\w./*-]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
RUN = re.compile(r"(?:^|[\s(])(?:\./)?rollcast(?=\s|$)([^|;&>#)]*)")
RUN_EXECUTOR = re.compile(r"python3? -m executor\b([^|;&>#)]*)")


def code_lines(text: str) -> Iterator[str]:
    """Yield every line of fenced code, joined with its continuation lines, and every span."""
    for block in FENCE.findall(text):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from SPAN.findall(FENCE.sub("", text))


@cache
def commands() -> dict[str, set[str]]:
    """Return every command of the program (nested ones with a space) with its options."""
    found: dict[str, set[str]] = {}

    def visit(command: object, name: str) -> None:
        options = {"--help"}
        for parameter in getattr(command, "params", []):
            options |= {*parameter.opts, *parameter.secondary_opts}
        found[name] = {option for option in options if option.startswith("--")}
        for part, child in getattr(command, "commands", {}).items():
            visit(child, f"{name} {part}".strip())

    visit(get_command(app), "")
    return found


@cache
def executor_help(command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "executor", *command.split(), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def command_faults(line: str) -> Iterator[str]:
    """Yield the faults of a line that runs rollcast."""
    for rest in RUN.findall(line):
        words = [word.strip("[]…\"'") for word in rest.split()]
        named = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
        first = named[0] if named and words[0] == named[0] else ""
        options = set(OPTION.findall(rest))
        if first in LAUNCHER:
            allowed = LAUNCHER[first]
            unknown = set() if allowed is None else options - allowed
        elif first and first not in commands():
            yield f"there is no command `rollcast {first}`"
            continue
        else:
            nested = " ".join(named[:2])
            is_group = any(name.startswith(f"{first} ") for name in commands() if first)
            if is_group and len(named) > 1 and words[1] == named[1] and nested not in commands():
                yield f"there is no command `rollcast {nested}`"
                continue
            unknown = options - commands().get(nested, set()) - commands()[first]
        for option in sorted(unknown):
            yield f"`rollcast {first}` has no {option}"
    for rest in RUN_EXECUTOR.findall(line):
        words = rest.split()
        command = words[0] if words and re.fullmatch(r"[a-z-]+", words[0]) else ""
        text = executor_help(command)
        if not text:
            yield f"there is no command `python -m executor {command}`"
        for option in OPTION.findall(rest):
            if text and not re.search(rf"{option}\b", text):
                yield f"`python -m executor {command}` has no {option}"


def faults(text: str, folder: Path = ROOT) -> list[str]:
    """Return everything that a document names and that does not exist."""
    found: list[str] = []
    known_options = {"--fast"}.union(*commands().values())
    for line in code_lines(text):
        found += command_faults(line)
        if re.fullmatch(r"--[a-z][a-z0-9-]*(?:[ =].*)?", line):
            option = re.split(r"[ =]", line)[0]
            if option not in known_options:
                found.append(f"no command has the option {option}")
        for path in PATH.findall(line):
            name = path.rstrip(".")
            if re.search(r"[A-Z]{3,}(?!\w*\.md)", name):
                continue  # stands for a file of the reader
            if not ((ROOT / name).exists() or any(ROOT.glob(name))):
                found.append(f"there is no {name}")
    for target in LINK.findall(FENCE.sub("", text)):
        if not re.match(r"[a-z]+:", target) and not (folder / target).exists():
            found.append(f"a link leads to {target}, which is not there")
    return found


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8"), path.parent) == []


def test_there_is_a_readme_and_it_runs_the_program() -> None:
    lines = list(code_lines((ROOT / "README.md").read_text(encoding="utf-8")))
    assert any(RUN.search(line) for line in lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```\n./rollcast fly plan.json\n```", "there is no command `rollcast fly`"),
        ("run `rollcast compare s.yaml --windoes 1`", "`rollcast compare` has no --windoes"),
        ("```sh\n$ rollcast compare s.yaml \\\n    --hi 1\n```", "`rollcast compare` has no --hi"),
        ("`./rollcast check --slowly`", "`rollcast check` has no --slowly"),
        ("`python -m executor fly`", "there is no command `python -m executor fly`"),
        ("the option `--no-such-thing`", "no command has the option --no-such-thing"),
        ("see `simulation/nowhere.py`", "there is no simulation/nowhere.py"),
        ("see `scenarios/*.nothing`", "there is no scenarios/*.nothing"),
        ("[a page](docs/nowhere.md)", "a link leads to docs/nowhere.md, which is not there"),
    ],
)
def test_a_fault_in_a_document_is_found(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "`./rollcast`",
        "`rollcast scenarios`",
        "```\n./rollcast compare mine.yaml --windows 1,2,4 | head  # a word --not-an-option\n```",
        "`./rollcast test -k name --maxfail 1`",
        "`python -m executor validate plan.json`",
        "a file `plan.json`, a folder `rollcast-out/`, a new `scenarios/NAME.yaml`",
        "`studio/cli/` and `tests/`",
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    assert faults(text) == []
