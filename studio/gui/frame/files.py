"""Files: new, opened, imported, saved; and what is asked before changes would be lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QWidget

from executor.base.errors import RollcastError
from executor.base.files import atomic_write_text
from simulation.scenario.file import ScenarioFile
from studio.gui.background.job import JobContext
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document
from studio.gui.document.on_disk import UnseenChange
from studio.gui.toolkit.settings import Settings
from studio.gui.widgets.dialogs import ask_about_changes, ask_for_file, ask_for_files
from studio.lessons.first_scenario import FIRST_SCENARIO
from studio.views.figures_text import file_stem

SCENARIOS = "Scenarios (*.yaml *.yml)"


class Filing(QObject):
    """What a window does with files, for one document."""

    reported = Signal(str)
    """Something was done."""
    failed = Signal(str)
    """Something could not be done."""
    unseen_change = Signal()
    """The file was not saved, since another program has changed it."""

    def __init__(
        self,
        window: QWidget,
        document: Document,
        jobs: Jobs,
        settings: Settings,
        commit_typed: Callable[[], None],
    ) -> None:
        """Serves a window; ``commit_typed`` takes what is still being typed into its fields."""
        super().__init__(window)
        self._window, self._document, self._jobs = window, document, jobs
        self._settings, self._take_typed = settings, commit_typed

    def open(self, path: Path) -> bool:
        """Opens a scenario and compares its windows; says why when it cannot."""
        try:
            file = ScenarioFile.load(path)
        except RollcastError as error:
            self.failed.emit(str(error))
            return False
        self.show(file)
        self._settings.remember(path)
        return True

    def open_shipped(self, path: Path) -> None:
        """A shipped scenario, as something that has no file yet: what is shipped stays as it is."""
        self.show(ScenarioFile.parse(path.read_text(encoding="utf-8")))

    def show(self, file: ScenarioFile) -> None:
        """Puts a scenario in the place of what is open, and compares its windows."""
        self._jobs.cancel()
        self._document.open(file)
        self._jobs.start()

    def save_as(self, path: Path) -> bool:
        """Writes the scenario; says why when it cannot."""
        try:
            self._document.save(path)
        except RollcastError as error:
            if isinstance(error, UnseenChange):
                self.unseen_change.emit()
            self.failed.emit(str(error))
            return False
        self._settings.remember(path)
        self.reported.emit(f"✓ Saved as {path}")
        return True

    def save(self) -> bool:
        """Writes the scenario where it came from, asks where when it came from nowhere."""
        self._take_typed()
        path = self._document.state.file.path
        if path is not None:
            return self.save_as(path)
        self.ask_save()
        return False

    def write_plan(self, path: Path) -> bool:
        """Writes the plan of the run that is looked at; says why when it cannot."""
        from executor.plan.file import write_plan  # noqa: PLC0415 - the first window does not need them
        from simulation.planning.make_plan import make_plan  # noqa: PLC0415

        run = self._document.current_run
        if run is None:
            return False
        try:
            write_plan(path, make_plan(run.scenario, run.result))
        except RollcastError as error:
            self.failed.emit(str(error))
            return False
        self.reported.emit(f"✓ The plan for window {run.result.candidate.window} is in {path}")
        return True

    def ask_open(self) -> None:
        """Asks for a scenario to open."""
        ask = partial(ask_for_file, self._window, "Open a scenario", SCENARIOS, self.open)
        self.ask_about_changes_then(ask)

    def ask_new(self) -> None:
        """Asks where a first scenario shall be written, and opens it."""
        ask = partial(
            ask_for_file, self._window, "A new scenario", SCENARIOS, self._make_new, "shop.yaml"
        )
        self.ask_about_changes_then(ask)

    def _make_new(self, path: Path) -> None:
        try:
            atomic_write_text(path, FIRST_SCENARIO.format(name=path))
        except (OSError, RollcastError) as error:
            self.failed.emit(f"{path}: cannot be written: {error}")
            return
        self.open(path)

    def ask_shipped(self, path: Path) -> None:
        """Opens a shipped scenario, once it is said what becomes of changes."""
        self.ask_about_changes_then(partial(self.open_shipped, path))

    def ask_import(self) -> None:
        """Asks for logs, metrics or manifests, and where their scenario shall be written."""
        ask = partial(ask_for_files, self._window, "Import", self._ask_where)
        self.ask_about_changes_then(ask)

    def _ask_where(self, sources: list[Path]) -> None:
        take = partial(self._import, sources)
        name = f"{sources[0].stem}.yaml"
        ask_for_file(self._window, "Write the scenario to", SCENARIOS, take, name)

    def _import(self, sources: list[Path], path: Path) -> None:
        def work(talk: JobContext) -> None:
            from simulation.importers.together import draft_scenario  # noqa: PLC0415 - read when needed

            talk.publish(draft_scenario(sources, None, path.stem).write(path))

        def landed(_written: object) -> None:
            self.open_imported(path)

        self._jobs.run(f"Import {sources[0].name}", work, landed)

    def open_imported(self, path: Path) -> None:
        """Opens what was made; it took a while, in which something else may have been changed."""
        self.ask_about_changes_then(partial(self.open, path))

    def ask_save(self) -> None:
        """Asks where the scenario shall be written."""
        self._take_typed()
        name = str(
            self._document.state.file.path or f"{file_stem(self._document.scenario.name)}.yaml"
        )
        ask_for_file(self._window, "Save the scenario as", SCENARIOS, self.save_as, name)

    def ask_plan(self) -> None:
        """Asks where the plan shall be written."""
        name = f"{file_stem(self._document.scenario.name)}.plan.json"
        ask_for_file(self._window, "Write the plan to", "Plans (*.json)", self.write_plan, name)

    def fill_recent(self, menu: QMenu) -> None:
        """Lists the files opened last."""
        menu.clear()
        for path in self._settings.recent():
            entry = menu.addAction(path.name.replace("&", "&&"))
            entry.setToolTip(str(path))
            entry.triggered.connect(partial(self.ask_about_changes_then, partial(self.open, path)))

    def ask_about_changes_then(self, then: Callable[[], object], _checked: bool = False) -> None:
        """Does what changes would be lost by, once it is said what shall become of them."""
        self._take_typed()
        if self._document.is_changed:
            ask_about_changes(self._window, self._document.scenario.name, self.save, then)
        else:
            then()
