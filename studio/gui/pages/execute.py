"""The page *Execute*: the plan is carried out, dry, in the lab or for real, and watched beside its forecast.

Enters: the plan of what is looked at, and an inventory where there is one. Leaves: a rollout in a job, and its
report. Nothing of the document is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
)

from executor.errors import RollcastError
from executor.files import atomic_write_text
from executor.guards import Counted, readings
from executor.inventory import Inventory, read_inventory
from executor.plan import Plan
from executor.preflight import fits, problems_in
from studio.carry_out import Said
from studio.charts.waterfall import Span, actual_spans, forecast_spans
from studio.format import count_text, duration_text, metric_text, percent_text, range_text
from studio.graph import typical_run
from studio.gui.dialogs import ask_for_file
from studio.gui.document import Document
from studio.gui.drafts import Draft, Drafts
from studio.gui.pages.base import Page
from studio.gui.rollouts import Rollout, Where, lab_refuses, no_haproxy
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.lines import Line, Lines
from studio.gui.widgets.log import PlainText
from studio.gui.widgets.segmented import Segmented
from studio.gui.widgets.waterfall import Waterfall
from studio.plan_words import steps_in_words
from studio.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from studio.gui.actions import PageAction
    from studio.gui.tasks import Jobs, Talk

_ENDED = {
    0: ("good", "✓ Done: every instance has the new version"),
    2: ("bad", "✗ Not carried out"),
    3: ("bad", "✗ Refused, nothing was touched"),
    4: ("bad", "✗ Halted"),
    5: ("bad", "✗ Rolled back: every instance has the old version again"),
    130: ("bad", "✗ Halted as you asked"),
}
_COMPARED = {
    "rollout_duration_s": "takes",
    "lowest_in_pool_count": "fewest in the pool",
    "rollout_latency_p99_s": "p99",
    "queue_max": "longest queue",
    "failed_requests": "failed requests",
}
"""The figures that are told beside their forecast."""


_CHOOSE = "choose an inventory"
_CHOOSE_WORDS = {
    "dry": "Choose an inventory to see the exact commands; the steps by name stand below",
    "inventory": "Choose an inventory: the file that says where the fleet is",
}


class ExecutePage(Page):
    """Carries the draft of a document out where a person says, and shows how it goes."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self._drafts = Drafts(document)
        self._inventory: tuple[Path, Inventory] | None = None
        self._rollout: Rollout | None = None
        self._refused: tuple[Draft | None, str] = (None, "")
        self._forecast: tuple[object, tuple[Span, ...]] = (None, ())
        self.where = Segmented(
            "Where",
            [
                ("dry", "Dry run", "Only say what would be done"),
                ("lab", "Lab", "A fleet of its own on this machine, with load"),
                ("inventory", "Inventory", "The machines that a file names"),
            ],
        )
        self.where.take("dry")
        self.choose = QPushButton("Inventory…")
        self.choose.setToolTip("The file that says where the fleet is and how to act on it")
        self.file = ElidedLabel(name="Inventory")
        self.file.setObjectName("soft")
        self.asks = QCheckBox("Ask before each wave")
        self.asks.setToolTip("Each wave after the first begins when you approve it")
        self.start_button = QPushButton("Start")
        self.halt_button = QPushButton("Halt")
        self.halt_button.setToolTip("Finish the steps in hand, begin nothing else (Ctrl+H)")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip("Go on where it stands (Ctrl+R)")
        self.end_button = QPushButton("End")
        self.end_button.setToolTip("Leave it as it stands; the lab's fleet is ended")
        self.approve_button = QPushButton("Approve")
        self.report_button = QPushButton("Report…")
        self.report_button.setToolTip("What happened beside the forecast, as one HTML file")
        self.state = ElidedLabel(name="State of the rollout")
        self.waterfall = Waterfall("Steps of each instance", theme)
        self.watched = Lines("Guards and figures")
        self.log = PlainText("What is said", wraps=True)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(GAP_PX)
        upper, inside = _card()
        first, second = QHBoxLayout(), QHBoxLayout()
        for widget in (self.where, self.choose):
            first.addWidget(widget)
        first.addWidget(self.file, 1)
        first.addWidget(self.asks)
        second.addWidget(self.state, 1)
        for button in (
            self.approve_button,
            self.report_button,
            self.end_button,
            self.resume_button,
            self.halt_button,
            self.start_button,
        ):
            second.addWidget(button)
        inside.addLayout(first)
        inside.addLayout(second)
        outer.addWidget(upper)
        across = QHBoxLayout()
        across.setSpacing(GAP_PX)
        left, left_inside = _card()
        left_inside.addWidget(self.waterfall)
        across.addWidget(left, 5)
        right, right_inside = _card()
        right_inside.setContentsMargins(8, 8, 4, 8)
        right_inside.addWidget(self.watched, 4)
        right_inside.addWidget(self.log, 5)
        across.addWidget(right, 3)
        outer.addLayout(across, 1)

    def _connect(self) -> None:
        self.where.picked.connect(self._on_where)
        self.choose.clicked.connect(self.ask_inventory)
        self.start_button.clicked.connect(self.start)
        self.halt_button.clicked.connect(self.halt)
        self.resume_button.clicked.connect(self.resume)
        self.end_button.clicked.connect(self.give_up)
        self.approve_button.clicked.connect(self.approve)
        self.report_button.clicked.connect(self.ask_report)
        for signal in (self.jobs.started, self.jobs.ended):
            signal.connect(self.follow)

    def _on_where(self, _key: str) -> None:
        """Another place begins afresh; the record of the last rollout lies beside its journal."""
        self._let_go()  # while one is open nothing else can be picked
        self.show_document()

    def _let_go(self) -> None:
        """The rollout that is over is no longer shown."""
        if self._rollout is not None:
            self._rollout.deleteLater()
        self._rollout = None

    # What it shows

    @property
    def rollout(self) -> Rollout | None:
        """The rollout that is shown; None before one was started."""
        return self._rollout

    @property
    def _chosen(self) -> Where:
        return self.where.taken or "dry"  # type: ignore[return-value] # its keys are the places

    def show_document(self) -> None:
        """Shows the rollout that goes on or went last, else what would be carried out."""
        self._show_buttons()
        self._show_waterfall()
        self._show_watched()
        self._show_log()

    def _why_not(self) -> str:
        """Why it cannot be started; empty when it can."""
        draft = self._drafts.now()
        if self._rollout is not None and self._rollout.is_open:
            return "a rollout is under way"
        if draft.plan is None or draft.why_not:
            return draft.why_not
        if self._chosen == "lab":
            return no_haproxy() or self._lab_refuses(draft)
        if self._inventory is None:
            return _CHOOSE
        return "; ".join(problems_in(fits(draft.plan, self._inventory[1])))

    def _lab_refuses(self, draft: Draft) -> str:
        """Why the lab cannot put a draft's scenario up, looked into once."""
        if self._refused[0] is not draft:
            self._refused = (draft, lab_refuses(draft.scenario))
        return self._refused[1]

    def _show_buttons(self) -> None:
        rollout, why_not = self._rollout, self._why_not()
        is_open = rollout is not None and rollout.is_open
        is_halted = rollout is not None and rollout.is_halted
        for button, is_shown in (
            (self.start_button, not is_open),
            (self.halt_button, is_open and not is_halted),
            (self.resume_button, is_halted),
            (self.end_button, is_halted),
            (self.approve_button, rollout is not None and rollout.awaited is not None),
            (self.report_button, rollout is not None and _has_record(rollout)),
        ):
            button.setVisible(is_shown)
        words = {"dry": "List the actions", "lab": "Start in the lab", "inventory": "Start…"}
        self.start_button.setText(words[self._chosen])
        self.start_button.setEnabled(not why_not)
        self.start_button.setToolTip(f"Not yet: {why_not}" if why_not else "Ctrl+Return")
        self.halt_button.setEnabled(
            rollout is not None and not rollout.is_halting and not rollout.is_settling
        )
        if rollout is not None and rollout.awaited is not None:
            self.approve_button.setText(f"Approve wave {rollout.awaited}")
        primary = (
            self.approve_button
            if rollout is not None and rollout.awaited is not None
            else self.resume_button
            if is_halted
            else self.start_button
        )
        for button in (self.approve_button, self.resume_button, self.start_button):
            _look(button, "primary" if button is primary else "")
        self.where.setEnabled(not is_open)
        self.choose.setEnabled(not is_open)
        self.choose.setVisible(self._chosen != "lab")
        self.asks.setEnabled(not is_open)
        self.asks.setVisible(self._chosen != "dry")
        self._show_file()
        look, sentence = self._sentence(why_not)
        self.state.setText(sentence)
        _look(self.state, look)

    def _show_file(self) -> None:
        if self._chosen == "lab":
            self.file.setText("HAProxy, instances and load on 127.0.0.1")
        elif self._inventory is None:
            self.file.setText("none chosen yet")
        else:
            path, inventory = self._inventory
            self.file.setText(f"{path.name}: {len(inventory.instances)} instances")

    def _sentence(self, why_not: str) -> tuple[str, str]:
        """A look, and how far it is."""
        rollout = self._rollout
        if rollout is None:
            if why_not == _CHOOSE:
                return "soft", _CHOOSE_WORDS[self._chosen]
            if why_not:
                return "bad", f"✗ {why_not}"
            plan = self._drafts.now().plan
            assert plan is not None
            return "heading", f"{plan.name}: {len(plan.instances)} instances, window {plan.window}"
        if rollout.was_given_up:
            gone = "its fleet has ended" if rollout.where == "lab" else "left as it stands"
            return "bad", f"✗ Given up: {gone}"
        if rollout.code is not None and not rollout.is_halted:
            look, words = _ENDED.get(rollout.code, ("bad", "✗ The executor broke off"))
            if rollout.where == "dry" and rollout.code == 0:
                words = "✓ These are the actions; nothing was done"
            return look, words + ("; still measuring" if rollout.is_settling else "")
        if rollout.went_wrong:
            return "bad", f"✗ {rollout.went_wrong}"
        counts = _counts_words(rollout.timeline)
        if rollout.is_halted:
            reason = (rollout.timeline or {}).get("reason") or ""
            _, words = _ENDED.get(rollout.code or 0, ("", "✗ The executor broke off"))
            return "bad", f"{words}{f': {reason}' if reason else ''} · {counts}"
        if rollout.is_halting:
            return "heading", f"Halting: the steps in hand are finished · {counts}"
        if rollout.awaited is not None:
            return "heading", f"Wave {rollout.awaited} waits for your approval · {counts}"
        return "heading", f"{counts}{_of_forecast(rollout.plan)}"

    def _show_waterfall(self) -> None:
        rollout, draft = self._rollout, self._drafts.now()
        plan = draft.plan if rollout is None else rollout.plan
        forecast = self._forecast_of(draft) if rollout is None else self._forecast[1]
        timeline = None if rollout is None else rollout.timeline
        actual = [] if timeline is None else actual_spans(timeline)
        now_s = None
        if rollout is not None and rollout.is_open and actual:
            now_s = max(span.end_s for span in actual)
        names = () if plan is None else plan.instances
        self.waterfall.show_spans(names, forecast, actual, now_s, self.theme)

    def _forecast_of(self, draft: Draft) -> tuple[Span, ...]:
        """The steps of a typical run of what a draft is of."""
        run = draft.run
        of = None if run is None or draft.plan is None else (run.key, len(run.result.runs))
        if of != self._forecast[0]:
            one = None if run is None else typical_run(run.result.runs)
            spans = (
                ()
                if one is None
                else forecast_spans(one.states, draft.scenario.all_instance_names())
            )
            self._forecast = (of, tuple(spans))
        return self._forecast[1]

    def _show_watched(self) -> None:
        rollout = self._rollout
        plan = self._drafts.now().plan if rollout is None else rollout.plan
        if plan is None:
            self.watched.show_lines([], self.theme)
            return
        timeline = None if rollout is None else rollout.timeline
        lines = [("heading", "Guards"), *_guard_lines(plan, timeline)]
        lines += [("heading", "Forecast" if timeline is None else "Measured and forecast")]
        measured = {} if timeline is None else timeline["measured"]
        if rollout is not None and rollout.trial is not None:
            measured = {**measured, **rollout.trial.record.metrics}
        is_over = rollout is not None and rollout.code == 0
        lines += _figure_lines(plan, measured, is_over=is_over)
        if rollout is not None and rollout.trial is not None:
            lines += [("bad", f"✗ {flag}") for flag in rollout.trial.record.flags]
        self.watched.show_lines(lines, self.theme)

    def _show_log(self) -> None:
        rollout, plan = self._rollout, self._drafts.now().plan
        self.log.show_theme(self.theme)
        if rollout is not None:
            self.log.show_lines([_log_line(one) for one in rollout.lines], follows=True)
        elif self._chosen == "dry" and plan is not None:
            self.log.show_lines(steps_in_words(plan))
        else:
            self.log.show_lines([])

    # What a person asks for

    def offered(self) -> list[PageAction]:
        """Start, halt, resume, approve, report."""
        return [
            ("execute.start", "Start the rollout", "Ctrl+Return", self.start),
            ("execute.halt", "Halt the rollout", "Ctrl+H", self.halt),
            ("execute.resume", "Resume the rollout", "Ctrl+R", self.resume),
            ("execute.approve", "Approve the next wave", "Ctrl+Alt+A", self.approve),
            ("execute.inventory", "Choose an inventory…", "Ctrl+Alt+I", self.ask_inventory),
            ("execute.report", "Write the report…", "Ctrl+Alt+R", self.ask_report),
        ]

    def ask_inventory(self) -> None:
        """Asks for the inventory's file."""
        ask_for_file(self, "Choose an inventory", "Inventories (*.yaml *.yml)", self.take_inventory)

    def take_inventory(self, path: Path) -> bool:
        """Takes an inventory; says why when it cannot."""
        try:
            self._inventory = path, read_inventory(path)
        except RollcastError as error:
            self.said.emit(f"✗ {error}")
            return False
        self.show_document()
        return True

    def start(self) -> None:
        """Starts what is chosen, once it is confirmed where it is for real."""
        if self._why_not():
            return
        draft = self._drafts.now()
        assert draft.plan is not None
        if self._chosen == "inventory":
            self._confirm(draft.plan)
        elif self._chosen == "lab":
            self._begin("lab").start_in_lab(asks=self.asks.isChecked())
        else:
            assert self._inventory is not None
            self._begin("dry").start_on(self._inventory[0])
        self.show_document()

    def _begin(self, where: Where) -> Rollout:
        draft = self._drafts.now()
        assert draft.plan is not None
        self._forecast_of(draft)
        self._let_go()
        self._rollout = Rollout(self.jobs, draft.plan, draft.scenario, where)
        self._rollout.changed.connect(self.follow)
        return self._rollout

    def _confirm(self, plan: Plan) -> None:
        """Asks once more before anything real is touched."""
        assert self._inventory is not None
        path, inventory = self._inventory
        hosts = sorted({inventory.host_of(name) for name in inventory.instances})
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText(
            f"Carry {plan.name} out on {len(plan.instances)} instances of {plan.service} on "
            f"{len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}?"
        )
        named = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
        box.setInformativeText(
            f"{named}, by {path.name}: from version {inventory.versions.old} to "
            f"{inventory.versions.new}, {plan.window} at once. These machines are real."
        )
        go = box.addButton("Carry it out", QMessageBox.ButtonRole.AcceptRole)
        cancel = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancel)
        go.clicked.connect(self._start_for_real)
        box.open()

    def _start_for_real(self) -> None:
        if not self._why_not() and self._inventory is not None:
            asks = self.asks.isChecked()
            self._begin("inventory").start_on(self._inventory[0], asks=asks)
            self.show_document()

    def halt(self) -> None:
        """Asks the executor to stop: the steps in hand are finished."""
        if self._rollout is not None and self._rollout.is_open and not self._rollout.is_settling:
            self._rollout.halt()
            self.show_document()

    def resume(self) -> None:
        """Goes on where it stands."""
        if self._rollout is not None and self._rollout.is_halted:
            self._rollout.resume()

    def give_up(self) -> None:
        """Leaves a halted rollout as it stands."""
        if self._rollout is not None and self._rollout.is_halted:
            self._rollout.give_up()

    def approve(self) -> None:
        """Lets the wave begin that waits."""
        if self._rollout is not None:
            try:
                self._rollout.approve()
            except RollcastError as error:
                self.said.emit(f"✗ {error}")

    def ask_report(self) -> None:
        """Asks where the report shall be written."""
        if self._rollout is not None and _has_record(self._rollout):
            name = f"{self._rollout.plan.name}.html"
            ask_for_file(self, "Write the report to", "HTML (*.html)", self.write_report, name)

    def write_report(self, path: Path) -> None:
        """Writes the report, in a job since it draws."""
        rollout = self._rollout
        if rollout is None or rollout.timeline is None:
            return
        plan, timeline, forecast = rollout.plan, rollout.timeline, self._forecast[1]

        def work(talk: Talk) -> None:
            from studio.report import timeline_report  # noqa: PLC0415 - read when it is needed

            atomic_write_text(path, timeline_report(plan, timeline, forecast))
            talk.land(path)

        self.jobs.run(f"Report {path.name}", work, lambda _: self.said.emit(f"✓ {path} is written"))

    def is_busy(self) -> str | None:
        """What closing the window would halt."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open or rollout.where == "dry":
            return None
        where = (
            "in the lab"
            if rollout.where == "lab"
            else f"on {len(rollout.plan.instances)} instances"
        )
        if rollout.is_halted:
            return f"The rollout of {rollout.plan.name} {where} stands halted; it is left as it is."
        return (
            f"A rollout of {rollout.plan.name} goes on {where}. Closing halts it: the steps in hand "
            "are finished first."
        )

    def halt_then(self, then: Callable[[], object]) -> None:
        """Halts what goes on; once no step is in hand it is left so, and then the rest is done."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open:
            then()
            return

        def look() -> None:
            if rollout.is_open and not (rollout.is_halted or rollout.is_settling):
                return
            rollout.changed.disconnect(look)
            rollout.give_up()
            then()

        rollout.changed.connect(look)
        rollout.halt()
        look()

    def leave(self) -> None:
        """Halts what goes on; whoever waits for the jobs waits for its end."""
        if self._rollout is not None:
            self._rollout.give_up()


def _log_line(said: Said) -> str:
    """A line as it is shown: what is wrong has a sign."""
    line = said.line.strip()
    if not said.is_wrong:
        return line
    return f"! {line.removeprefix('warning: ')}" if line.startswith("warning: ") else f"✗ {line}"


def _has_record(rollout: Rollout) -> bool:
    return rollout.timeline is not None and rollout.code is not None


def _counts_words(timeline: dict[str, Any] | None) -> str:
    """How many instances are done, and what the others are doing."""
    if timeline is None:
        return "Starting…"
    done = {
        one["instance"]
        for one in timeline["steps"]
        if one["step"] == "return" and one["outcome"] == "done"
    }
    last = {one["instance"]: one["state"] for one in timeline["states"]}
    doing = Counter(state for state in last.values() if state != "serving")
    took = duration_text(max((one["end_s"] for one in timeline["states"]), default=0.0))
    words = [f"{count} {state}" for state, count in doing.items()]
    return " · ".join([f"{len(done)} of {len(last)} done", *words, took])


def _of_forecast(plan: Plan) -> str:
    """How long it is thought to take."""
    figure = plan.prediction.metrics.get("rollout_duration_s")
    return (
        "" if figure is None or figure.mean is None else f" of about {duration_text(figure.mean)}"
    )


def _guard_lines(plan: Plan, timeline: dict[str, Any] | None) -> list[Line]:
    """What is watched, as it is, and its limit."""
    counted = [
        Counted(one["t_s"], one["requests_count"], one["failed_count"], one["queued_count"])
        for one in (timeline["samples"] if timeline is not None else ())
    ]
    lines: list[Line] = []
    for one in readings(plan, counted):
        text = percent_text if one.is_fraction else count_text
        is_over = one.value is not None and one.value > one.limit
        mark = "·" if one.value is None else "✗" if is_over else "✓"
        look = "soft" if one.value is None else "bad" if is_over else "good"
        lines.append((look, f"{mark} {one.what}: {text(one.value)}, limit {text(one.limit)}"))
    return lines or [("soft", "none")]


def _figure_lines(plan: Plan, measured: dict[str, float | None], *, is_over: bool) -> list[Line]:
    """The figures that matter beside what single runs may do; judged once the rollout is over."""
    lines: list[Line] = []
    for name, words in _COMPARED.items():
        figure = plan.prediction.metrics.get(name)
        if figure is None:
            continue
        value, span = measured.get(name), range_text(name, figure)
        if value is None:
            lines.append(("", f"{words}: {span}"))
            continue
        told = f"{words}: {metric_text(name, value)}"
        low, high = figure.run_low, figure.run_high
        if not is_over or low is None or high is None:
            lines.append(("", f"{told} · forecast {span}"))
        elif low <= value <= high:
            lines.append(("good", f"✓ {told}, within {span}"))
        else:
            lines.append(("bad", f"✗ {told}, outside {span}"))
    return lines


def _card() -> tuple[QFrame, QVBoxLayout]:
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(10, 8, 10, 8)
    layout.setSpacing(6)
    return card, layout


def _look(widget: QPushButton | ElidedLabel, name: str) -> None:
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
