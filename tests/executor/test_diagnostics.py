"""Diagnostics: which records reach standard error, and how they look there."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.base.errors import BadInput
from executor.diagnostics import configure_logging
from executor.plan.file import plan_text
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leaves logging as it was found."""
    loggers = [logging.getLogger(name) for name in (None, "executor", "simulation", "studio")]
    levels, handlers = [logger.level for logger in loggers], list(loggers[0].handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    loggers[0].handlers[:] = handlers


@pytest.mark.parametrize(
    ("verbose_count", "variable", "shown"),
    [
        (0, None, "we"),
        (0, "", "we"),
        (0, "warning", "we"),
        (0, "error", "e"),
        (0, "info", "iwe"),
        (0, "DEBUG", "diwe"),
        (1, None, "iwe"),
        (1, "error", "iwe"),
        (1, "debug", "diwe"),
        (2, None, "diwe"),
        (3, "info", "diwe"),
    ],
)
def test_the_level_is_the_finer_of_option_and_variable(
    verbose_count: int,
    variable: str | None,
    shown: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = {} if variable is None else {"ROLLCAST_LOG": variable}
    for _ in range(2):  # twice configured is no reason to say everything twice
        configure_logging(verbose_count, environment)
    logger = logging.getLogger("executor.run")
    for level, letter in ((10, "d"), (20, "i"), (30, "w"), (40, "e")):
        logger.log(level, "%s!", letter)
    lines = capsys.readouterr().err.splitlines()
    assert "".join(line[-2] for line in lines) == shown


def test_a_record_says_when_and_where_and_a_warning_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(2, {})
    logging.getLogger("studio.rollouts").debug("two\nlines")
    logging.getLogger("studio.rollouts").warning("mind %d", 3)
    first, second, third = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d debug studio\.rollouts: two", first)
    assert (second, third) == ("lines", "warning: mind 3")


def test_libraries_are_logged_from_their_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(2, {})
    library = logging.getLogger("asyncssh")
    library.info("Command: deploy")
    library.warning("old")
    assert capsys.readouterr().err == "warning: old\n"


def test_a_level_that_is_none_is_bad_input() -> None:
    with pytest.raises(
        BadInput, match=r"^ROLLCAST_LOG \(loud\) must be debug, info, warning, error$"
    ):
        configure_logging(0, {"ROLLCAST_LOG": "loud"})


@pytest.mark.parametrize("module", ["executor", "studio"])
@pytest.mark.parametrize(
    ("options", "variable", "said"),
    [
        ((), "", []),
        (("-v",), "", ["info executor.execute: read "]),
        ((), "info", ["info executor.execute: read "]),
    ],
)
def test_the_command_logs_on_standard_error(
    tmp_path: Path, module: str, options: tuple[str, ...], variable: str, said: list[str]
) -> None:
    plan, inventory = tmp_path / "plan.json", tmp_path / "fleet.yaml"
    plan.write_text(plan_text(example_plan(created_at="2020-01-01T00:00:00Z", valid_for_s=60.0)))
    plan.chmod(0o600)
    inventory.write_text(
        "{rollcast: inventory/1, service: checkout, versions: {old: '1', new: '2'}, "
        "balancer: {haproxy: {socket: s, backend: b}}, "
        "defaults: {health: 'http://h/', version: 'http://h/', stop: [a], deploy: [a], start: [a]}, "
        "instances: {a: {}}}"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", module, "execute", str(plan)),
            *("--inventory", str(inventory), *options),
        ],
        cwd=ROOT,
        env={**os.environ, "ROLLCAST_LOG": variable},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, "")
    *logged, refused = done.stderr.splitlines()
    assert "validity" in refused
    assert [line[13 : 13 + len(text)] for line, text in zip(logged, said, strict=True)] == said
