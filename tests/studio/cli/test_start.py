"""How the program starts and ends: help, completion, a file alone, Ctrl-C, and nobody's noise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main

from studio.cli.app import app
from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.paths import ROOT

COMMAND = [sys.executable, "-P", "-m", "studio"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command_names(group: Any = None, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command, such as ``("lab", "run")``."""
    group = group or typer.main.get_command(app)
    names: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        words = (*before, name)
        names += [words, *(command_names(command, words) if hasattr(command, "commands") else ())]
    return names


def run(
    folder: Path, arguments: Sequence[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("words", [(), *command_names()], ids=" ".join)
def test_help_is_the_same_however_it_is_asked_for(
    rollcast: CommandLine, words: tuple[str, ...]
) -> None:
    long = rollcast(*words, "--help")
    usage = " ".join(("Usage: rollcast", *words))
    assert long.out.startswith(usage)
    for answer in (long, rollcast(*words, "-h"), rollcast("help", *words)):
        assert (answer.code, answer.err, answer.out) == (0, "", long.out)


@pytest.mark.parametrize("words", ["nothing", "lab nothing", "compare more"])
def test_help_of_what_is_no_command_is_refused(rollcast: CommandLine, words: str) -> None:
    rollcast.refuses(["help", *words.split()], {}, f"no such command: {words}", 2)


def test_every_option_and_argument_has_a_help_that_is_a_sentence() -> None:
    """A sentence begins with a capital and ends with a full stop; a default is named in it."""
    root: Any = typer.main.get_command(app)
    for words in command_names():
        command = root
        for word in words:
            command = command.commands[word]
        for parameter in command.params:
            text = getattr(parameter, "help", "") or ""
            place = f"{' '.join(words)} {parameter.opts[0]}"
            assert text[:1].isupper(), f"{place}: {text!r}"
            assert text.endswith("."), f"{place}: {text!r}"
            is_optional = parameter.param_type_name == "option" and not parameter.required
            if is_optional and parameter.name != "help" and not parameter.is_flag:
                shown = parameter.show_default and parameter.default is not None
                assert shown or "default" in text, f"{place} must say its default: {text!r}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(tmp_path: Path, shell: str) -> None:
    words = {
        "bash": {"COMP_WORDS": "rollcast comp", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "rollcast comp"},
        "fish": {
            "_TYPER_COMPLETE_ARGS": "rollcast comp",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    done = run(tmp_path, [], _ROLLCAST_COMPLETE=f"complete_{shell}", **words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "compare" in done.stdout
    assert "simulate" not in done.stdout


@pytest.mark.parametrize("name", ["shop.yaml", "shop.yml", "compare.yaml"])
def test_a_file_alone_opens_in_the_studio(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from studio.gui import app as gui

    opened: list[Path | None] = []

    def open_studio(path: Path | None) -> int:
        opened.append(path)
        return 0

    monkeypatch.setattr(gui, "open_studio", open_studio)
    rollcast.write(name, SHOP)
    assert rollcast(name) == rollcast("studio", name)
    assert opened == [Path(name)] * 2


def test_what_is_neither_command_nor_scenario_is_refused(rollcast: CommandLine) -> None:
    rollcast.refuses(["shop.json"], {}, "No such command 'shop.json'", 2)


@pytest.mark.slow
def test_without_a_display_the_studio_says_so_in_one_line(tmp_path: Path) -> None:
    """Qt tries three platform plugins, and complains of each that does not load."""
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    nowhere = {"DISPLAY": ":987", "WAYLAND_DISPLAY": "wayland-987", "QT_QPA_PLATFORM": ""}
    environment = {key: value for key, value in nowhere.items() if value}
    inherited = dict(ENVIRONMENT)
    inherited.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(
        [*COMMAND, "shop.yaml"],
        cwd=tmp_path,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == "rollcast: there is no display; rollcast compare works without one\n"


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    inherited = {key: "" for key in ENVIRONMENT if key.startswith("XDG_") or key == "MPLCONFIGDIR"}
    command = [
        "compare",
        "shop.yaml",
        "--engine",
        "reference",
        "--jobs",
        "1",
        "--html",
        "page.html",
    ]
    home = {"HOME": os.devnull, "TMPDIR": str(tmp_path / "tmp")}
    done = run(tmp_path, [*command, "--windows", "1"], **{**inherited, **home})
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"warning: {os.devnull}/.cache/rollcast: cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "page.html").is_file()


def block_interrupts() -> None:
    """What ``env --block-signal=INT`` of the launcher does before the program begins."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2, 0.4, 0.7, 1.0])
def test_an_interrupt_at_the_start_leaves_no_traceback(tmp_path: Path, delay_s: float) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "compare", "shop.yaml", "--replications", "100000", "--jobs", "1"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=block_interrupts,  # noqa: PLW1509 - as the launcher does; no thread runs here
        text=True,
    )
    try:
        threading.Event().wait(delay_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    # An interrupt in the middle of an `exec` of a library makes Python end itself by SIGINT, also when
    # the exception was handled: a shell says 130 then, too.
    assert process.returncode in (130, -signal.SIGINT), err
    assert out == ""
    assert "Traceback" not in err
    assert "Warning" not in err
