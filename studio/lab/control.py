"""The commands of the lab's inventory: what one step does on the host of one instance.

Enters: the keeper's socket, a step, an instance, and for deploy and verify a version. Leaves: the
step done and exit code 0, or one line on standard error and 1. Each takes as long as the scenario
says; it is run as a script, without the packages around it, to start in a few milliseconds.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any


def send_command(keeper: str, **command: Any) -> dict[str, Any]:
    """What the keeper answers to a command.

    Raises:
        OSError: There is no keeper, or it has gone.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(keeper)
        channel.sendall(json.dumps(command).encode() + b"\n")
        with channel.makefile("r", encoding="utf-8") as lines:
            line = lines.readline()
    if not line:
        raise OSError("the fleet has gone")
    found: dict[str, Any] = json.loads(line)
    return found


def main(keeper: str, step: str, instance: str, version: str = "") -> int:
    """Does the step: its act first when it takes something away, last when it brings something."""
    waits_s = float(send_command(keeper, do="duration", instance=instance, step=step)["duration_s"])
    if step != "stop":
        time.sleep(waits_s)
    answer = send_command(keeper, do=step, instance=instance, version=version)
    if step == "stop":
        time.sleep(waits_s)
    if "error" in answer:
        print(f"{instance}: {step}: {answer['error']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:
        print(f"{' '.join(sys.argv[2:])}: {error}", file=sys.stderr)
        sys.exit(1)
