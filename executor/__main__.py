"""The executor on a host without the rest: ``python -m executor validate PLAN``.

Enters: a command line. Leaves: an exit code (0 done, 2 wrong use or bad input, 3 refused by a
check, 130 interrupted) and plain words: results on standard output, one line for what is wrong on
standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from executor.errors import Refused, RollcastError
from executor.plan import Plan, checks
from executor.plan_file import read_plan

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="executor", description="Carries Rollcast's plans out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    validate = commands.add_parser("validate", help="every rule of a plan, in plain words")
    validate.add_argument("plan", type=Path, metavar="PLAN", help="a plan file")
    chosen = parser.parse_args(arguments)
    try:
        return validate_plan(chosen.plan)
    except RollcastError as error:
        print(f"executor: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Nobody reads on, as in `… | head`; Python's own flush at exit must not meet the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def validate_plan(path: Path) -> int:
    """Prints every check of a plan; returns 0, or 3 when one fails.

    Raises:
        BadInput: The file is no plan.
        Refused: It was changed since it was made.
    """
    lines, sound = validate_report(read_plan(path), datetime.now(UTC))
    print("\n".join(lines), flush=True)
    return 0 if sound else Refused.exit_code


def validate_report(plan: Plan, now: datetime) -> tuple[list[str], bool]:
    """Every check of a plan in plain words, and whether all of them hold.

    Args:
        plan: A plan as `read_plan` returns it: its form and its digest hold.
        now: The present time, with a time zone.

    Returns:
        A line for each check, a broken one followed by what breaks it; and True when none is.
    """
    lines = [f"✓ the form is that of {plan.schema_}", "✓ nothing was changed since it was made"]
    made = checks(plan, now)
    for promise, problems in made:
        lines.append(f"{'✗' if problems else '✓'} {promise}")
        lines.extend(f"    {problem}" for problem in problems)
    return lines, not any(problems for _, problems in made)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no ✓ gets \u2713
    sys.exit(main())
