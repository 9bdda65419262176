"""The commands of the lab's inventory: one step on the host of one instance.

The arguments are the keeper's socket, a step, an instance, and for deploy and verify a version. The exit code
is 0, or 1 with one line on standard error. A step takes as long as the scenario says. The file runs as a
script, without the packages around it, to start in a few milliseconds.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any


def send_command(keeper: str, **command: Any) -> dict[str, Any]:
    """Send a command to the keeper; return its answer.

    Raises:
        OSError: There is no keeper, or it has ended.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(keeper)
        channel.sendall(json.dumps(command).encode() + b"\n")
        with channel.makefile("r", encoding="utf-8") as lines:
            line = lines.readline()
    if not line:
        raise OSError("the fleet has gone")
    answer: dict[str, Any] = json.loads(line)
    return answer


def main(keeper: str, step: str, instance: str, version: str = "") -> int:
    """Do a step, which takes its duration: a stop acts first and then waits, other steps wait first."""
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
