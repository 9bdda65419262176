"""``rollcast``: the console script and ``python -m studio``."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
import typer.main

from executor.errors import RollcastError
from studio.cli.app import app


def main() -> int:
    """Runs the command line; returns the exit code.

    Every error is one line on standard error: nothing that a person does ends in a traceback.
    """
    # The errors of wrong use: typer carries a click of its own, whose names are not public.
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    command = typer.main.get_command(app)
    try:
        answer = command.main(prog_name="rollcast", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except usage_error as error:
        print(f"rollcast: {_one_line(error.format_message())}", file=sys.stderr)
        return 2
    except RollcastError as error:
        print(f"rollcast: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader has gone; what is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
