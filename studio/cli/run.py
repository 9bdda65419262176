"""One run of the command line: from the arguments to the exit code, every error in one line."""

from __future__ import annotations

import io
import logging
import sys
from importlib.util import find_spec
from typing import Any

import typer
import typer.main

from executor.base.ascii_text import use_ascii_fallback
from executor.base.errors import BadInput, RollcastError
from executor.base.extras import extra_of, missing_extra_error
from executor.base.signals import INTERRUPTED, enable_interrupts
from executor.diagnostics import configure_logging
from executor.output import complain, write_no_more
from studio.cli.app import app

_COMMAND = typer.main.get_command(app)

_UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""The error of wrong use: typer carries a click of its own, whose names are not public."""


def run_command_line() -> int:
    """Run the command that ``sys.argv`` names; return the exit code.

    Every error is one line on standard error: nothing that a person does ends in a traceback.
    """
    enable_interrupts()
    _prepare_streams()
    _silence_libraries()
    try:
        configure_logging()
        answer = _COMMAND.main(prog_name="rollcast", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except _UsageError as error:
        print(f"rollcast: {_one_line(error.format_message())}", file=sys.stderr)
        return 2
    except RollcastError as error:
        complain(f"rollcast: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        # The reader has gone, as in `… | head`; typer and rich make an exit of that.
        causes = (error, error.__context__)
        if not any(isinstance(cause, BrokenPipeError) for cause in causes):
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
    """Let every text be printed: in ASCII where a stream has no ✓, nowhere where it is closed."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        else:
            use_ascii_fallback(stream)


def _silence_libraries() -> None:
    """Keep the warnings of libraries from the terminal; ``python -W`` and PYTHONWARNINGS show them.

    They speak to programmers: of a worker process that was ended by Ctrl-C, or of a semaphore that
    such a worker has left.
    """
    if sys.warnoptions:
        return
    # Worker processes and the resource tracker are started with the same options.
    sys.warnoptions.append("ignore")
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    logging.captureWarnings(True)


def _import_error(extra: str, error: ImportError) -> BadInput:
    """Return the error for a library of an extra that is missing or does not load.

    Most commands are refused before they begin. Some need an extra for one of their options only, and
    a library may be installed and still not load: Qt without libEGL.
    """
    library = (error.name or "").partition(".")[0]
    if find_spec(library) is None:
        return missing_extra_error(extra, "this command", library)
    return BadInput(f"{library} is installed and cannot be loaded: {error}")


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
