"""The executor's own command line: ``python -m executor execute PLAN --inventory FILE``.

It works where only the base of the distribution is installed. Results go to standard output, an error
is one line on standard error. Exit codes: 0 done, 2 wrong use or bad input, 3 refused by a check,
4 halted, 5 rolled back, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from executor.base.errors import Refused, RollcastError, describe_unexpected
from executor.base.signals import INTERRUPTED, enable_interrupts
from executor.diagnostics import configure_logging
from executor.execute import Execute, execute, look_at
from executor.fleet.inventory import read_inventory
from executor.output import OutputFormat, complain, write_no_more
from executor.plan.file import read_plan
from executor.plan.model import Plan
from executor.plan.rules import checks
from executor.tell import start_lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    enable_interrupts()
    chosen = _parser().parse_args(arguments)
    try:
        configure_logging(getattr(chosen, "verbose", 0))
        if chosen.command == "validate":
            return validate_plan(chosen.plan, chosen.inventory)
        return execute(_asked(chosen))
    except RollcastError as error:
        complain(f"executor: {error}")
        return error.exit_code
    except BrokenPipeError:
        write_no_more(sys.stdout)  # the reader of a report has gone, as in `… | head`
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        complain(f"executor: {describe_unexpected(error)}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="executor", description="Carries Rollcast's plans out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    validate = commands.add_parser(
        "validate", help="Check every rule of a plan, and print each in plain words."
    )
    validate.add_argument(
        "plan", type=Path, metavar="PLAN", help="The plan to check, a .json file."
    )
    validate.add_argument(
        "--inventory",
        type=Path,
        metavar="FILE",
        help="Also check the plan against the fleet of this inventory file (default: none).",
    )
    for name, summary in (
        ("execute", "Carry a plan out."),
        ("resume", "Go on with a rollout that was begun: execute --resume."),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument(
            "plan", type=Path, metavar="PLAN", help="The plan to carry out, a .json file."
        )
        command.add_argument(
            "--inventory",
            type=Path,
            metavar="FILE",
            required=True,
            help="The inventory file that describes the fleet.",
        )
        for flag, effect in (
            ("--dry-run", "Print the exact actions, and do none of them."),
            ("--resume", "Go on with a rollout that was begun."),
            ("--take-over", "Take the lock of an executor that died."),
        ):
            command.add_argument(flag, action="store_true", help=effect)
        command.add_argument(
            "--trust",
            action="append",
            type=Path,
            default=[],
            metavar="KEY",
            help="Carry out only plans that are signed by this public key or by a key of the inventory; repeatable (default: the inventory's keys).",
        )
        command.add_argument(
            "--approve",
            metavar="terminal|FILE",
            help="Where each wave after the first must be approved (default: no approval).",
        )
        command.add_argument(
            "--journal",
            type=Path,
            metavar="FILE",
            help="The journal file (default: PLAN with the suffix .journal).",
        )
        command.add_argument(
            "--events",
            choices=[form.value for form in OutputFormat],
            default=OutputFormat.TEXT.value,
            help="Standard output: text for people, or one JSON object a line (default: text).",
        )
        command.add_argument(
            "-v",
            "--verbose",
            action="count",
            default=0,
            help="Write diagnostics to standard error; -vv writes more (default: warnings only).",
        )
        command.add_argument(
            "-q",
            "--quiet",
            action="store_true",
            help="Print only warnings, questions and how the rollout ended.",
        )
    return parser


def _asked(chosen: argparse.Namespace) -> Execute:
    return Execute(
        plan=chosen.plan,
        inventory=chosen.inventory,
        dry_run=chosen.dry_run,
        resume=chosen.resume or chosen.command == "resume",
        take_over=chosen.take_over,
        trust=tuple(chosen.trust),
        approve=chosen.approve,
        journal=chosen.journal,
        quiet=chosen.quiet,
        events=OutputFormat(chosen.events),
    )


def validate_plan(path: Path, inventory: Path | None = None) -> int:
    """Print every check of a plan, and of its fleet where one is given; return the exit code.

    Raises:
        BadInput: A file cannot be read as what it should be.
        Refused: The plan was changed since it was made.
    """
    lines, is_sound = validate_report(read_plan(path), datetime.now(UTC), inventory)
    print("\n".join(lines), flush=True)
    return 0 if is_sound else Refused.exit_code


def validate_report(
    plan: Plan, now: datetime, inventory: Path | None = None
) -> tuple[list[str], bool]:
    """Return the lines that say every check of a plan, and whether all checks hold.

    Args:
        plan: A plan as `read_plan` returns it: its form and its digest hold.
        now: The present time, with a time zone.
        inventory: The fleet to check the plan against; the fleet is not changed.

    Returns:
        A line for each check, each failed one followed by its problems, and a line for each
        warning; and whether no check failed.
    """
    lines = [f"✓ the form is that of {plan.schema_}", "✓ nothing was changed since it was made"]
    if not plan.is_by_rollcast:
        lines.append(f"  {plan.carried_out_by} carries it out: export it, execute refuses it")
    lines += [f"  {line}" for line in start_lines(plan)]
    all_checks, warnings = checks(plan, now), list[str]()
    if inventory is not None:
        look = look_at(plan, read_inventory(inventory))
        all_checks += look.checks
        warnings = look.warnings
    for promise, problems in all_checks:
        lines.append(f"{'✗' if problems else '✓'} {promise}")
        lines.extend(f"    {problem}" for problem in problems)
    lines.extend(f"! {warning}" for warning in warnings)
    return lines, not any(problems for _, problems in all_checks)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no ✓ gets \u2713
    sys.exit(main())
