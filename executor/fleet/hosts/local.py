"""This machine: commands as processes in a group of their own, so that all of one can be ended."""

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

from executor.fleet.hosts.base import KEPT_BYTES, HostError, Ran

_logger = logging.getLogger(__name__)


class Local:
    """The machine that the executor itself runs on."""

    async def check(self) -> None:
        return

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> Ran:
        _logger.debug("this machine: %s", shlex.join(command))
        with _output_of(command) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **environment},
                    # Ctrl-C is meant for the executor, which lets the step in hand finish.
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                said = getattr(error, "strerror", None) or error
                raise HostError(f"{command[0]}: cannot be started: {said}") from None
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
            output.seek(max(0, output.seek(0, os.SEEK_END) - KEPT_BYTES))
            return Ran(exit_code, output.read().decode("utf-8", errors="replace"))

    async def close(self) -> None:
        return


def _output_of(command: Sequence[str]) -> IO[bytes]:
    """A file, not a pipe: what a command starts may keep its output open for ever.

    Raises:
        HostError: There is no place for one.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        said = error.strerror or error
        raise HostError(
            f"{command[0]}: cannot be started: no file for its output: {said}"
        ) from None
