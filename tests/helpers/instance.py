"""A service instance for tests: one HTTP server, and the commands that control it.

``python instance.py COMMAND FOLDER PORT [VERSION]`` with start, stop, deploy, verify or serve. The
folder holds the instance's version, its process id, and the file `fault`, with which tests break it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def fault(folder: Path) -> str:
    """Return the fault of an instance: the line of its file, or an empty text."""
    path = folder / "fault"
    return path.read_text().strip() if path.exists() else ""


def serve(folder: Path, port: int) -> None:
    """Serve until the process is ended.

    Answer /healthz and /version at once, /slow never, and every other path after 20 ms.
    """
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # slow to load

    version = (folder / "version").read_text()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wrong, body, status = fault(folder), version, 200
            if self.path == "/healthz":
                status = 503 if wrong == "never healthy" and version != "1.0" else 200
            elif self.path == "/version":
                body = "1.0" if wrong == "says old" else version
            elif self.path == "/slow":
                time.sleep(3600)  # until its connection is cut or the instance ends
            else:
                time.sleep(0.02)  # the request's own time
                status = 500 if wrong == "errors" and version != "1.0" else 200
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


def start(folder: Path, port: int) -> int:
    """Start the instance unless it runs already."""
    if is_running(folder):
        return 0
    import subprocess  # slow to load

    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", __file__, "serve", str(folder), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))
    return 0


def is_running(folder: Path) -> bool:
    """Return whether the instance's process exists."""
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def stop(folder: Path) -> int:
    """End the instance, and wait until its process is gone."""
    if is_running(folder):
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        while is_running(folder) and not is_zombie(pid):
            time.sleep(0.005)  # between two checks whether it is gone
    (folder / "pid").unlink(missing_ok=True)
    return 0


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended, also when its parent has not waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def main(command: str, folder: Path, port: int, version: str = "") -> int:
    """Run one command. Return its exit code."""
    wrong = fault(folder)
    with (folder / "commands").open("a") as log:
        log.write(f"{command} {version}".strip() + "\n")
    if wrong == f"{command} hangs":
        (folder / f"hangs-{os.getpid()}").touch()
        time.sleep(3600)  # a command that hangs, which is what is tested
    if wrong == f"{command} fails twice":
        done = (folder / "commands").read_text().splitlines()
        if sum(line.split()[0] == command for line in done) <= 2:
            print(f"{command} does not work yet")
            return 1
    if command == "serve":
        serve(folder, port)
    if command == "start":
        return start(folder, port)
    if command == "stop":
        return stop(folder)
    if command == "deploy":
        (folder / "version").write_text(version)
    if command == "verify" and (folder / "version").read_text() != version:
        print(f"version must be {version}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
