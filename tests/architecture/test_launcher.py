"""The launcher with stand-ins for apt-get, dpkg-query, Python, pip and uv.

Each stand-in writes its arguments into one log, so a test sees which tool was called
with which arguments and in which order; nothing is installed and no network is used.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PYTEST = "python -m pytest -q --instafail -n logical --maxprocesses 8 --dist worksteal"

# The tools of a bare Debian that the launcher may use as they are.
TOOLS = (
    *("cat", "cp", "cut", "dirname", "env", "flock", "grep", "mkdir", "mktemp", "readlink"),
    *("rm", "sed", "sha256sum", "tail", "tr"),
)

# A stand-in Python, which its own `-m venv` also copies into the environment.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo "${STUB_PYTHON:-3.11}"; exit ;;
    *sys.version*) echo "${STUB_PYTHON:-3.11}.2"; exit ;;
    "-c "*) exit ;;
esac
echo "python $*" >>"$STUB_LOG"
case "$*" in
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-m pip install"*)
        [ -z "${STUB_NO_INDEX-}" ] || { echo "ERROR: No matching distribution" >&2; exit 1; }
        cp "$STUBS/tool" "$(dirname "$0")/uv" ;;
    *studio*) echo "studio in $PWD" ;;
esac
"""

# Debian's database of packages: contains only what apt-get has installed.
DPKG_QUERY = """#!/bin/sh
[ ! -f "$STUB_LOG.installed" ] || cat "$STUB_LOG.installed"
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$STUB_LOG"
[ -z "${STUB_NO_PACKAGES-}" ] || { echo "E: Unable to locate package libegl1" >&2; exit 100; }
[ "$1" != install ] || for name in "$@"; do echo "installed $name, "; done >>"$STUB_LOG.installed"
"""

# Any other tool: writes the log, and fails with a message that the test sets.
TOOL = """#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$STUB_LOG"
case " ${STUB_FAILING-} " in
    *" $name "*) echo "${STUB_WORDS:-E: no}" >&2; exit 1 ;;
esac
"""


@dataclass
class Desk:
    """A checkout with a launcher, on a machine of stand-ins."""

    root: Path
    bin: Path
    log: Path
    env: dict[str, str] = field(default_factory=dict)

    def stub(self, name: str, text: str = TOOL) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)  # a link leads to this machine's own tool
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def command_env(self) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "STUBS": str(self.bin),
            "STUB_LOG": str(self.log),
            "TMPDIR": str(self.root.parent),
            **self.env,
        }

    def run(
        self, *arguments: str, cwd: Path | None = None, launcher: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(launcher or self.root / "rollcast"), *arguments],
            cwd=cwd or self.root,
            env=self.command_env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def change_lock(self) -> None:
        with (self.root / "requirements.lock").open("a", encoding="utf-8") as lock:
            lock.write("# changed\n")

    def forget_calls(self) -> None:
        self.log.unlink(missing_ok=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    root, stubs = tmp_path / "a checkout", tmp_path / "bin"
    root.mkdir()
    stubs.mkdir()
    for name in ("rollcast", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, root / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"this machine has no {tool}"
        (stubs / tool).symlink_to(found)
    desk = Desk(root=root, bin=stubs, log=tmp_path / "calls.log")
    desk.stub("python3", PYTHON)
    desk.stub("id", "#!/bin/sh\necho ${STUB_UID:-0}\n")
    desk.stub("apt-get", APT_GET)
    desk.stub("dpkg-query", DPKG_QUERY)
    desk.stub("tool")
    return desk


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of the output, which must be the whole message: no traceback, no second line."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("rollcast: ") for line in lines), done.stderr
    return lines[-1]


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_script_parses(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", str(ROOT / "rollcast")], check=True)


def test_a_first_start_sets_up_in_order_then_runs(desk: Desk) -> None:
    done = desk.run("scenarios", "--copy", "a name")
    assert done.returncode == 0, done.stderr
    heads = [" ".join(call.split()[:3]) for call in desk.calls()]
    assert heads == [
        "apt-get update -q",
        "apt-get install -y",
        "python -m venv",
        "python -m pip",
        "uv pip sync",
        "uv pip install",
        "python -P -m",
    ]
    assert desk.calls()[-1] == "python -P -m studio scenarios --copy a name"
    assert "libegl1" in next(call for call in desk.calls() if call.startswith("apt-get install"))
    sync = next(call for call in desk.calls() if call.startswith("uv pip sync"))
    assert "--require-hashes" in sync
    assert sync.endswith(" requirements.lock")


def test_what_is_installed_is_not_asked_for(desk: Desk) -> None:
    names = (
        "libegl1 libgl1 libx11-6 libdbus-1-3 libfontconfig1 libxkbcommon0 libxkbcommon-x11-0 "
        "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 fonts-inter"
    )
    desk.stub(
        "dpkg-query",
        f'#!/bin/sh\nfor p in {names}; do echo "installed $p, "; done\n'
        'echo "installed libglib2.0-0t64, libglib2.0-0 (= 2.84), other"\n',
    )
    assert desk.run("scenarios").returncode == 0
    assert not [call for call in desk.calls() if call.startswith("apt-get")]


def test_a_ready_launcher_asks_no_package_manager(desk: Desk) -> None:
    assert desk.run("scenarios").returncode == 0
    desk.forget_calls()
    for tool in ("apt-get", "dpkg-query", "sudo"):
        desk.stub(tool)
    desk.env = {"STUB_FAILING": "apt-get dpkg-query uv sudo", "STUB_NO_INDEX": "1"}
    done = desk.run("scenarios")
    assert done.returncode == 0
    assert done.stderr == ""
    assert desk.calls() == ["python -P -m studio scenarios"]


def test_it_works_through_a_symlink_and_keeps_the_callers_directory(
    desk: Desk, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (tmp_path / "relative").symlink_to(Path("a checkout") / "rollcast")
    link = elsewhere / "rc"
    link.symlink_to(tmp_path / "relative")
    done = desk.run("simulate", "mine.yaml", cwd=elsewhere, launcher=link)
    assert done.stdout == f"studio in {elsewhere}\n"
    assert desk.calls()[-1] == "python -P -m studio simulate mine.yaml"
    assert (desk.root / ".venv").is_dir()


def test_a_changed_lock_is_followed_without_a_new_environment(desk: Desk) -> None:
    desk.run("scenarios")
    desk.change_lock()
    desk.forget_calls()
    assert desk.run("scenarios").returncode == 0
    assert [call for call in desk.calls() if call.startswith("uv pip sync")]
    assert not [call for call in desk.calls() if "venv --clear" in call or "-m pip" in call]


def test_a_half_made_environment_is_made_again(desk: Desk) -> None:
    desk.env = {"STUB_FAILING": "uv", "STUB_WORDS": "error: dns error"}
    done = desk.run("scenarios")
    assert done.returncode == 1
    assert one_line(done) == (
        "rollcast: could not install the requirements; is there a network, and can the package"
        " index be reached? tried: uv pip sync requirements.lock; uv said: error: dns error"
    )
    desk.forget_calls()
    desk.env = {}
    assert desk.run("scenarios").returncode == 0
    assert [call for call in desk.calls() if "-m venv --clear" in call]


def test_an_environment_whose_change_failed_is_made_again(desk: Desk) -> None:
    desk.run("scenarios")
    desk.change_lock()
    desk.env = {"STUB_FAILING": "uv"}
    assert desk.run("scenarios").returncode == 1
    desk.env = {}
    desk.forget_calls()
    assert desk.run("scenarios").returncode == 0
    assert [call for call in desk.calls() if "-m venv --clear" in call]


def test_the_tests_bring_the_development_requirements_and_these_stay(desk: Desk) -> None:
    desk.run("scenarios")
    desk.forget_calls()
    assert desk.run("test").returncode == 0
    synced = [call for call in desk.calls() if call.startswith("uv pip sync")]
    assert [call.split()[-1] for call in synced] == ["requirements-dev.lock"]
    desk.forget_calls()
    desk.run("scenarios")
    assert desk.calls() == ["python -P -m studio scenarios"]
    desk.change_lock()
    desk.run("scenarios")
    synced = [call for call in desk.calls() if call.startswith("uv pip sync")]
    assert [call.split()[-1] for call in synced] == ["requirements-dev.lock"]


def test_a_test_path_is_the_callers(desk: Desk) -> None:
    folder = desk.root / "tests"
    folder.mkdir()
    (folder / "test_it.py").touch()
    desk.run("test", "-k", "name", "test_it.py::test_one", cwd=folder)
    assert desk.calls()[-1] == (
        f"python -m pytest -m not needs_root -k name {folder}/test_it.py::test_one"
    )


def test_two_first_starts_make_one_environment(desk: Desk) -> None:
    starts = [
        subprocess.Popen(
            [str(desk.root / "rollcast"), "scenarios"],
            env=desk.command_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for start in starts:
        _, words = start.communicate()
        assert start.returncode == 0, words
    assert len([call for call in desk.calls() if "-m venv --clear" in call]) == 1
    assert desk.calls().count("python -P -m studio scenarios") == len(starts)


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_a_python_that_is_too_old_is_named(desk: Desk, version: str) -> None:
    desk.env = {"STUB_PYTHON": version}
    done = desk.run("scenarios")
    assert done.returncode == 2
    assert one_line(done) == (
        "rollcast: Python 3.11 or newer is needed, and the one found is"
        f" {version} ({desk.bin / 'python3'})"
    )
    assert desk.calls() == []


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_a_newer_python_beside_an_old_one_is_taken(desk: Desk, version: str) -> None:
    desk.stub(f"python{version}", PYTHON.replace("${STUB_PYTHON:-3.11}", version))
    desk.env = {"STUB_PYTHON": "3.9"}
    done = desk.run("scenarios")
    assert done.returncode == 0
    assert f"making .venv with Python {version}" in done.stderr


def test_without_root_or_sudo_it_says_what_to_run(desk: Desk) -> None:
    (desk.bin / "python3").unlink()
    desk.env = {"STUB_UID": "1000"}
    done = desk.run("scenarios")
    assert done.returncode == 2
    line = one_line(done)
    assert "run as root: apt-get update && apt-get install -y" in line
    assert "python3 python3-venv ca-certificates libegl1" in line
    assert not [call for call in desk.calls() if call.startswith("apt-get")]


def test_sudo_is_used_where_there_is_no_root(desk: Desk) -> None:
    desk.stub("sudo", '#!/bin/sh\n[ "$1" = -n ] || { echo "sudo $*" >>"$STUB_LOG"; "$@"; }\n')
    desk.env = {"STUB_UID": "1000"}
    assert desk.run("scenarios").returncode == 0
    assert [call for call in desk.calls() if call.startswith("sudo apt-get update")]


@pytest.mark.parametrize(
    ("arguments", "display", "code"),
    [
        pytest.param(["scenarios"], "", 0, id="a command that draws nothing"),
        pytest.param([], "", 0, id="the main job without a display"),
        pytest.param([], ":0", 2, id="the main job with a display"),
        pytest.param(["studio"], "", 2, id="the studio"),
        pytest.param(["shop.yaml"], "", 2, id="a scenario to open in the studio"),
        pytest.param(["test"], "", 2, id="the tests"),
    ],
)
def test_without_root_only_what_draws_with_qt_waits_for_its_libraries(
    desk: Desk, arguments: list[str], display: str, code: int
) -> None:
    desk.env = {"STUB_UID": "1000", "DISPLAY": display}
    for _ in range(2):
        done = desk.run(*arguments)
        assert done.returncode == code, done.stderr
    assert ("run as root: apt-get update && apt-get install" in done.stderr) is (code == 2)


def test_the_program_starts_with_interrupts_held_back(desk: Desk) -> None:
    """Python would answer a Ctrl-C in its first moments with a traceback."""
    desk.run("scenarios")
    stub = desk.root / ".venv/bin/python"
    # A shell as a stand-in would let signals through again, so this one is Python.
    stub.write_text(
        f"#!{sys.executable}\n"
        "import signal, sys\n"
        "is_program = 'studio' in sys.argv\n"
        "held_back = signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "print(sorted(map(int, held_back)) if is_program else '3.11.2')\n",
        encoding="utf-8",
    )
    done = desk.run("scenarios")
    assert (done.stdout, done.stderr) == (f"[{int(signal.SIGINT)}]\n", "")


def test_an_interrupt_of_the_launcher_is_quiet(desk: Desk) -> None:
    desk.run("scenarios")
    desk.forget_calls()
    stub = desk.root / ".venv/bin/python"
    asks = '#!/bin/sh\ncase $* in *sys.version*) kill -INT "$LAUNCHER" ;; esac\n'
    stub.write_text(asks + stub.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [
            *("/bin/sh", "-c", 'export LAUNCHER=$$; exec "$0" scenarios'),
            str(desk.root / "rollcast"),
        ],
        env=desk.command_env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert [call for call in desk.calls() if "studio" in call] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_environment_of_another_user_is_named(desk: Desk) -> None:
    desk.run("scenarios")
    (desk.root / ".venv").chmod(0o555)
    done = desk.run("test")
    (desk.root / ".venv").chmod(0o755)
    assert done.returncode == 2
    assert one_line(done).startswith(f"rollcast: may not write to {desk.root}/.venv")


def test_no_network_for_debian_packages(desk: Desk) -> None:
    desk.env = {"STUB_NO_PACKAGES": "1"}
    done = desk.run("scenarios")
    assert done.returncode == 1
    line = one_line(done)
    assert "could not install Debian packages; is there a network?" in line
    assert "tried: apt-get update && apt-get install" in line
    assert line.endswith("apt-get said: E: Unable to locate package libegl1")


def test_no_network_for_pip(desk: Desk) -> None:
    desk.env = {"STUB_NO_INDEX": "1"}
    done = desk.run("scenarios")
    assert done.returncode == 1
    line = one_line(done)
    assert (
        "is there a network, and can the package index be reached? tried: pip install uv==" in line
    )
    assert line.endswith("pip said: ERROR: No matching distribution")


def test_check_runs_every_stage_with_the_tests_last(desk: Desk) -> None:
    desk.run("test")
    for tool in ("ruff", "mypy", "lint-imports"):
        shutil.copy2(desk.bin / "tool", desk.root / ".venv/bin" / tool)
    desk.forget_calls()
    done = desk.run("check", "--fast")
    assert done.returncode == 0, done.stderr
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "format OK",
        "lint OK",
        "types OK",
        "floors OK",
    ]
    assert desk.calls() == [
        "ruff format --check .",
        "ruff check .",
        "mypy ",
        "lint-imports ",
        f"{PYTEST} -m not needs_root and not slow --ignore tests/end_to_end",
    ]


def test_check_fails_when_a_stage_fails_and_still_runs_the_rest(desk: Desk) -> None:
    desk.run("test")
    for tool in ("ruff", "mypy", "lint-imports"):
        shutil.copy2(desk.bin / "tool", desk.root / ".venv/bin" / tool)
    desk.forget_calls()
    desk.env = {"STUB_FAILING": "mypy", "STUB_WORDS": "plan.py:1: error: no"}
    done = desk.run("check")
    assert done.returncode == 1
    assert "types    FAILED: mypy\nplan.py:1: error: no\n" in done.stdout
    assert one_line(done) == "rollcast: check FAILED: types"
    assert desk.calls()[-1] == f"{PYTEST} -m not needs_root"
