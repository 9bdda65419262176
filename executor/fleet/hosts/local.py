"""Run commands on this machine, each in a process group of its own that can be killed as a whole."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from executor.fleet.hosts.base import MAX_OUTPUT_BYTES, CommandResult, HostError

_logger = logging.getLogger(__name__)


class Local:
    """The machine that the executor itself runs on."""

    async def check(self) -> None:
        return

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> CommandResult:
        _logger.debug("this machine: %s", shlex.join(command))
        with _open_output(command) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **environment},
                    # Ctrl-C in the terminal must reach only the executor, which lets the command finish.
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise HostError(f"{command[0]}: cannot be started: {reason}") from None
            try:
                exit_code = await asyncio.wait_for(process.wait(), deadline_s)
            except TimeoutError:
                raise HostError(
                    f"{command[0]}: did not end within {deadline_s:g} s and was ended"
                ) from None
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            output.seek(max(0, output.seek(0, os.SEEK_END) - MAX_OUTPUT_BYTES))
            return CommandResult(exit_code, output.read().decode("utf-8", errors="replace"))

    async def close(self) -> None:
        return


def _open_output(command: Sequence[str]) -> IO[bytes]:
    """Open a temporary file for a command's output.

    A pipe would not do: a service that the command starts may keep its end open for ever, so that
    reading never ends.

    Raises:
        HostError: No file can be made.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        reason = error.strerror or error
        raise HostError(
            f"{command[0]}: cannot be started: no file for its output: {reason}"
        ) from None
