"""``rollcast``: the console script and ``python -m studio``."""

from __future__ import annotations

import io
import sys
from typing import Any

import typer
import typer.main

from executor.errors import RollcastError
from executor.signals import heed_interrupts
from executor.spoken import complain, write_no_more
from studio.cli.app import app


def main() -> int:
    """Runs the command line; returns the exit code.

    Every error is one line on standard error: nothing that a person does ends in a traceback.
    """
    # The errors of wrong use: typer carries a click of its own, whose names are not public.
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    command = typer.main.get_command(app)
    heed_interrupts()
    _prepare_streams()
    try:
        answer = command.main(prog_name="rollcast", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except usage_error as error:
        print(f"rollcast: {_one_line(error.format_message())}", file=sys.stderr)
        return 2
    except RollcastError as error:
        complain(f"rollcast: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (BrokenPipeError, SystemExit) as error:
        # The reader has gone, as in `… | head`; typer and rich make an exit of that.
        if not any(isinstance(one, BrokenPipeError) for one in (error, error.__context__)):
            raise
        write_no_more(sys.stdout)
        return 0
    except OSError as error:
        print(f"rollcast: {_one_line(str(error))}", file=sys.stderr)
        write_no_more(sys.stdout)
        return 2


def _prepare_streams() -> None:
    """Lets every text be printed: a terminal that knows no ✓ gets its number, a closed one nothing."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
