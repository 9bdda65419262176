"""``rollcast``: the console script and ``python -m studio``."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
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
    _prepare_streams()
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
    except (BrokenPipeError, SystemExit) as error:
        # The reader has gone, as in `… | head`; typer and rich make an exit of that.
        if not any(isinstance(one, BrokenPipeError) for one in (error, error.__context__)):
            raise
        _write_no_more()
        return 0
    except OSError as error:
        print(f"rollcast: {_one_line(str(error))}", file=sys.stderr)
        _write_no_more()
        return 2


def _prepare_streams() -> None:
    """Lets every text be printed: a terminal that knows no ✓ gets its number, a closed one nothing."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _write_no_more() -> None:
    """What is left in the buffer must not raise again when Python ends."""
    with suppress(OSError):  # where it was closed there is nothing in it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
