"""The executor on a host without the rest: ``python -m executor validate PLAN``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from executor.errors import Refused, RollcastError
from executor.plan_file import read_plan, validate_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 done, 2 bad input, 3 refused, 130 interrupted)."""
    parser = argparse.ArgumentParser(prog="executor", description="Carries Rollcast's plans out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    validate = commands.add_parser("validate", help="every rule of a plan, in plain words")
    validate.add_argument("plan", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        return validate_plan(chosen.plan)
    except RollcastError as error:
        print(f"executor: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def validate_plan(path: Path) -> int:
    """Prints every check of a plan; returns 0, or 3 when one fails.

    Raises:
        RollcastError: The file is no plan, or was changed.
    """
    lines, sound = validate_report(read_plan(path), datetime.now(UTC))
    print("\n".join(lines))
    return 0 if sound else Refused.exit_code


if __name__ == "__main__":
    sys.exit(main())
