"""Where the shipped scenarios and assets are.

In a checkout they are the top-level folders `scenarios` and `assets`, beside
the packages; an installed wheel carries both inside itself, in `studio/_data`.
Nothing enters; a directory that exists leaves.
"""

import re
from pathlib import Path

EXAMPLE = "checkout-evening.yaml"
"""The shipped scenario that everything begins with."""

_PACKAGE_DIR = Path(__file__).resolve().parent


def scenarios_dir() -> Path:
    """The directory that holds the shipped scenario files.

    Raises:
        FileNotFoundError: Neither the checkout nor the wheel has it.
    """
    return _resource_dir("scenarios")


def assets_dir() -> Path:
    """The directory that holds icons, themes, fonts and schemas.

    Raises:
        FileNotFoundError: Neither the checkout nor the wheel has it.
    """
    return _resource_dir("assets")


def shipped_scenarios() -> dict[Path, str]:
    """The shipped scenario files by name, each with its question.

    Read without the tools that read a whole scenario: a list must be quick.
    """
    found = {}
    for path in sorted(scenarios_dir().glob("*.yaml")):
        match = re.search(r"^question: *(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        found[path] = match[1].strip().strip("\"'") if match else ""
    return found


def _resource_dir(name: str) -> Path:
    checkout = _PACKAGE_DIR.parent
    # Next to an installed package, a folder called `assets` may be anyone's:
    # only a checkout has the project file beside it.
    in_checkout = (checkout / "pyproject.toml").is_file()
    places = [checkout / name] if in_checkout else []
    places.append(_PACKAGE_DIR / "_data" / name)
    for place in places:
        if place.is_dir():
            return place
    looked_in = " and ".join(str(place) for place in places)
    raise FileNotFoundError(f"the shipped {name} are missing: looked in {looked_in}")
