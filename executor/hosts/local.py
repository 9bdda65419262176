"""This machine: commands as processes in a group of their own, so that all of one can be ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from executor.hosts.base import KEPT_BYTES, HostError, Ran

_LAST_WORDS_S = 0.5
"""How long the output of a command that has ended may stay open: what it started may hold it."""


class Local:
    """The machine that the executor itself runs on."""

    async def check(self) -> None:
        return

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> Ran:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **environment},
                # Ctrl-C is meant for the executor, which lets the step in hand finish.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise HostError(f"{command[0]}: cannot be started: {said}") from None
        assert process.stdout is not None
        kept = bytearray()
        reading = asyncio.create_task(_keep_end(process.stdout, kept))
        try:
            await asyncio.wait_for(process.wait(), deadline_s)
            # A command that starts a service may leave it its output: its own end is what counts.
            await asyncio.wait({reading}, timeout=_LAST_WORDS_S)
        except TimeoutError:
            raise HostError(
                f"{command[0]}: did not end within {deadline_s:g} s and was ended"
            ) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            process._transport.close()  # type: ignore[attr-defined] # its pipe may stay open
        assert process.returncode is not None
        return Ran(process.returncode, bytes(kept).decode("utf-8", errors="replace"))

    async def close(self) -> None:
        return


async def _keep_end(stream: asyncio.StreamReader, kept: bytearray) -> None:
    while more := await stream.read(65536):
        kept += more
        del kept[:-KEPT_BYTES]
