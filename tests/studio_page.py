"""Make the tables of `docs/studio.md` from the studio's actions and settings.

``./rollcast update-expected`` writes the tables; a test checks that the page contains them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.gui.toolkit.actions import ACTIONS, MENUS
from studio.gui.toolkit.settings import SETTINGS, Setting
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "studio.md"


def action_lines() -> Iterator[str]:
    """Yield a row for each action, in the order of the menu."""
    yield from ("| menu | action | keys | what it does |", "| --- | --- | --- | --- |")
    for menu in MENUS:
        for spec in ACTIONS:
            if spec.menu == menu:
                keys = ", ".join(f"`{one}`" for one in spec.shortcuts)
                yield f"| {menu} | {spec.words} | {keys} | {spec.tip} |"


def setting_lines() -> Iterator[str]:
    """Yield a row for each setting."""
    yield from ("| setting | at first | choices | what it does |", "| --- | --- | --- | --- |")
    for one in SETTINGS:
        choices = ", ".join(words.lower() for _, words in one.choices) or "on, off"
        yield f"| {one.words} | {_at_first(one)} | {choices} | {one.tip} |"


def _at_first(setting: Setting) -> str:
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    return dict(setting.choices)[setting.default].lower()


def fill_tables(text: str) -> str:
    """Return a page with the present tables between its marks.

    Raises:
        ValueError: A mark is missing.
    """
    for name, lines in (("actions", action_lines()), ("settings", setting_lines())):
        mark = f"<!-- {name} -->\n"
        pattern = rf"{mark}.*?<!-- end -->"
        table = "\n".join([*lines, "<!-- end -->"])
        text, count = re.subn(pattern, (mark + table).replace("\\", r"\\"), text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"{PAGE.name} needs one <!-- {name} --> and one <!-- end --> after it")
    return text
