"""``rollcast``: the console script and ``python -m studio``."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from typing import Any

import typer
import typer.main

from executor.base.errors import BadInput, RollcastError
from executor.base.extras import extra_of, missing_extra_error
from executor.base.signals import enable_interrupts
from executor.diagnostics import configure_logging
from executor.output import complain, write_no_more
from studio.cli.app import app


def main() -> int:
    """Runs the command line; returns the exit code.

    Every error is one line on standard error: nothing that a person does ends in a traceback.
    """
    # The errors of wrong use: typer carries a click of its own, whose names are not public.
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    command = typer.main.get_command(app)
    enable_interrupts()
    _prepare_streams()
    try:
        configure_logging()
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
    except ImportError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        complain(f"rollcast: {_import_error(extra, error)}")
        return BadInput.exit_code


def _prepare_streams() -> None:
    """Lets every text be printed: a terminal that knows no ✓ gets its number, a closed one nothing."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _import_error(extra: str, error: ImportError) -> BadInput:
    """The error of a library that an extra brings, and that is missing or does not load.

    Most commands are refused before they begin. Some need an extra for one of their options only, and
    a library may be installed and still not load: Qt without libEGL.
    """
    library = (error.name or "").partition(".")[0]
    if find_spec(library) is None:
        return missing_extra_error(extra, "this command", library)
    return BadInput(f"{library} is installed and cannot be loaded: {error}")


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
