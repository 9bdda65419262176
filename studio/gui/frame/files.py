"""Files: new, open, import, save; and a question before unsaved changes would be lost."""

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
    """The file actions of a window: new, open, import, save."""

    reported = Signal(str)
    """Something was done; the argument is a message."""
    failed = Signal(str)
    """Something failed; the argument is the reason."""
    unseen_change = Signal()
    """The file was not saved, because another program has changed it."""

    def __init__(
        self,
        window: QWidget,
        document: Document,
        jobs: Jobs,
        settings: Settings,
        commit_typed: Callable[[], None],
    ) -> None:
        """Serve a window; ``commit_typed`` takes over text that the user is still typing into its fields."""
        super().__init__(window)
        self._window, self._document, self._jobs = window, document, jobs
        self._settings, self._take_typed = settings, commit_typed

    def open(self, path: Path) -> bool:
        """Open a scenario and compare its windows; return whether that worked, and report why not."""
        try:
            file = ScenarioFile.load(path)
        except RollcastError as error:
            self.failed.emit(str(error))
            return False
        self.show(file)
        self._settings.remember(path)
        return True

    def open_shipped(self, path: Path) -> None:
        """Open a copy of a shipped scenario without a file, so that the shipped file is never changed."""
        self.show(ScenarioFile.parse(path.read_text(encoding="utf-8")))

    def show(self, file: ScenarioFile) -> None:
        """Replace the open scenario, and compare the windows of the new one."""
        self._jobs.cancel()
        self._document.open(file)
        self._jobs.start()

    def save_as(self, path: Path) -> bool:
        """Write the scenario to a file; return whether that worked, and report why not."""
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
        """Write the scenario to its file; ask for a file when it has none."""
        self._take_typed()
        path = self._document.state.file.path
        if path is not None:
            return self.save_as(path)
        self.ask_save()
        return False

    def write_plan(self, path: Path) -> bool:
        """Write the plan of the selected run; return whether that worked, and report why not."""
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
        """Ask for a scenario to open."""
        ask = partial(ask_for_file, self._window, "Open a scenario", SCENARIOS, self.open)
        self.ask_about_changes_then(ask)

    def ask_new(self) -> None:
        """Ask for a file, write a first scenario to it, and open it."""
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
        """Open a shipped scenario, after asking about unsaved changes."""
        self.ask_about_changes_then(partial(self.open_shipped, path))

    def ask_import(self) -> None:
        """Ask for logs, metrics or manifests, and for the file of their scenario."""
        ask = partial(ask_for_files, self._window, "Import", self._ask_for_target)
        self.ask_about_changes_then(ask)

    def _ask_for_target(self, sources: list[Path]) -> None:
        import_to = partial(self._import, sources)
        name = f"{sources[0].stem}.yaml"
        ask_for_file(self._window, "Write the scenario to", SCENARIOS, import_to, name)

    def _import(self, sources: list[Path], path: Path) -> None:
        def work(context: JobContext) -> None:
            from simulation.importers.together import draft_scenario  # noqa: PLC0415 - read when needed

            context.publish(draft_scenario(sources, None, path.stem).write(path))

        def open_result(_path: object) -> None:
            self.open_imported(path)

        self._jobs.run(f"Import {sources[0].name}", work, open_result)

    def open_imported(self, path: Path) -> None:
        """Open an imported scenario. The import took a while, so ask about changes made meanwhile."""
        self.ask_about_changes_then(partial(self.open, path))

    def ask_save(self) -> None:
        """Ask for a file, and write the scenario to it."""
        self._take_typed()
        name = str(
            self._document.state.file.path or f"{file_stem(self._document.scenario.name)}.yaml"
        )
        ask_for_file(self._window, "Save the scenario as", SCENARIOS, self.save_as, name)

    def ask_plan(self) -> None:
        """Ask for a file, and write the plan to it."""
        name = f"{file_stem(self._document.scenario.name)}.plan.json"
        ask_for_file(self._window, "Write the plan to", "Plans (*.json)", self.write_plan, name)

    def fill_recent(self, menu: QMenu) -> None:
        """List the recently opened files in a menu."""
        menu.clear()
        for path in self._settings.recent():
            entry = menu.addAction(path.name.replace("&", "&&"))
            entry.setToolTip(str(path))
            entry.triggered.connect(partial(self.ask_about_changes_then, partial(self.open, path)))

    def ask_about_changes_then(self, then: Callable[[], object], _checked: bool = False) -> None:
        """Call ``then``, which would lose unsaved changes; ask first whether to save them."""
        self._take_typed()
        if self._document.is_changed:
            ask_about_changes(self._window, self._document.scenario.name, self.save, then)
        else:
            then()
