"""The folders of the shipped scenarios and assets.

In a checkout they are the top-level folders `scenarios` and `assets`, beside the packages; an installed
wheel holds both in `studio/_data`.
"""

import re
from pathlib import Path

EXAMPLE = "checkout-evening.yaml"
"""The shipped scenario that the first start shows."""

_PACKAGE_DIR = Path(__file__).resolve().parent


def scenarios_dir() -> Path:
    """Return the folder of the shipped scenario files.

    Raises:
        FileNotFoundError: Neither the checkout nor the wheel has it.
    """
    return _resource_dir("scenarios")


def assets_dir() -> Path:
    """Return the folder of icons, themes, fonts and schemas.

    Raises:
        FileNotFoundError: Neither the checkout nor the wheel has it.
    """
    return _resource_dir("assets")


def shipped_scenarios() -> dict[Path, str]:
    """Return the shipped scenario files by name, each with its question.

    The question is read without parsing the whole scenario: a list must be quick.
    """
    questions = {}
    for path in sorted(scenarios_dir().glob("*.yaml")):
        match = re.search(r"^question: *(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        questions[path] = match[1].strip().strip("\"'") if match else ""
    return questions


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
