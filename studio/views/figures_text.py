"""Figures as text with their units, for the command line, the window and reports.

A table and a screen show the same digits because both take them from here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executor.plan.model import Interval, Verdict
    from simulation.study.candidate_result import CandidateResult
    from simulation.study.candidates import Candidate
    from simulation.study.compare import Comparison
    from simulation.study.statistics.means import Difference
    from simulation.study.time_left import Eta

Line = tuple[str, str]
"""A look (`heading`, `good`, `bad`, `soft` or empty) and the words, which hold the glyph."""

NOTHING = "–"
"""The text for a figure that does not exist."""

MISSES_ANYWAY: str = "misses_anyway"
"""The answer for a candidate of a fleet that misses an objective without a rollout, too."""

ANSWER_GLYPHS = {"meets": "✓", "fails": "✗", "undecided": "?", MISSES_ANYWAY: "◇"}

ANSWER_WORDS = {
    "meets": "meets",
    "fails": "fails",
    "undecided": "undecided",
    MISSES_ANYWAY: "misses anyway",
}
"""Each answer in a word or two, beside its glyph."""

ANSWER_TIPS = {
    "meets": "every objective holds in enough runs",
    "fails": "the rollout breaks an objective in too many runs",
    "undecided": "the runs show neither",
    MISSES_ANYWAY: "the fleet misses an objective without a rollout, too",
}
"""Each answer explained."""

TABLE_HEADINGS = (
    "window",
    "surge",
    "pause",
    "drain",
    "policy",
    "start",
    "takes",
    "fewest",
    "p99",
    "errors",
    "failed",
    "verdict",
)
"""Headings of `table_row`. Takes, fewest, p99 and errors are those of the rollout; failed counts
requests per run over the common interval."""


MOST_VALUES = 3
"""Maximum number of values of a setting that are written out for candidates with equal results."""

VARIED = ("surge", "pause", "drain", "policy", "start")
"""The headings of the settings, besides the window, in which candidates may differ."""


def duration_text(seconds: float | None) -> str:
    """Return a rollout's duration: ``12 min 41 s``, ``41.2 s``, ``2 h 05 min``."""
    if seconds is None:
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def span_text(low_s: float | None, high_s: float | None) -> str:
    """Return a range of durations, rounded outward: ``14 to 16 minutes``, ``38 to 44 seconds``.

    Between one minute and ten minutes the seconds are shown: ``1 min 10 s to 1 min 31 s``.
    """
    if low_s is None or high_s is None:
        return NOTHING
    if high_s < 60 or low_s >= 600:
        size, unit = (1.0, "seconds") if high_s < 60 else (60.0, "minutes")
        low, high = math.floor(low_s / size), math.ceil(high_s / size)
        return f"{high} {unit}" if low == high else f"{low} to {high} {unit}"
    return f"{duration_text(low_s)} to {duration_text(high_s)}"


def clock_text(seconds: float | None) -> str:
    """Return a duration in little space: ``12:41``, ``1:02:05``."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60}:{rest % 60:02d}"


def length_text(seconds: float | None) -> str:
    """Return a round duration, for an axis: ``30 s``, ``5 min``, ``2 h``."""
    if seconds is None:
        return NOTHING
    if seconds == 0:
        return "0"
    size, unit = next(
        ((size, unit) for size, unit in ((3600, "h"), (60, "min")) if seconds >= size), (1, "s")
    )
    return f"{seconds / size:g} {unit}"


def time_left_text(seconds: float | None) -> str:
    """Return the remaining time: ``about 2 min left``; empty while it is unknown."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"about {max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes < 120 else f"about {minutes // 60} h left"


def replications_text(eta: Eta) -> str:
    """Return what is counted: the replications of the study, or those that confirm its best candidate."""
    return "replications that confirm the best" if eta.is_confirmation else "replications"


def latency_text(seconds: float | None) -> str:
    """Return a latency: ``312 ms``, ``1.24 s``, ``14.2 s``."""
    if seconds is None:
        return NOTHING
    if seconds == 0:
        return "0 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.00995 else f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"


def limit_text(seconds: float) -> str:
    """Return a limit of latency as it was set: ``4 s``, ``250 ms``."""
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def between_text(low: str, high: str) -> str:
    """Return a range, with the unit only once where both ends share it: ``715 – 775 ms``."""
    if low == high:
        return low
    number, _, unit = low.rpartition(" ")
    return f"{number if high.endswith(f' {unit}') and ' ' not in number else low} – {high}"


def count_text(number: float | None) -> str:
    """Return a count or a mean of counts: ``861,204``, ``0.3``."""
    if number is None:
        return NOTHING
    if number == round(number) or number >= 99.95:
        return f"{number:,.0f}"
    if number < 0.005:
        return "≈ 0"
    return f"{number:.1f}" if number >= 0.095 else f"{number:.2f}"


def size_text(size_bytes: int) -> str:
    """Return the size of files: ``0 bytes``, ``12 kB``, ``3.4 MB``, ``1 GB``."""
    for unit, unit_bytes in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.3g} {unit}"
    return f"{size_bytes} bytes"


def instances_text(count: int) -> str:
    """Return a count with its noun: ``1 instance``, ``1,000 instances``."""
    return f"{count:,} instance{'' if count == 1 else 's'}"


def services_text(count: int) -> str:
    """Return a count with its noun: ``1 service``, ``3 services``."""
    return f"{count:,} service{'' if count == 1 else 's'}"


def percent_text(fraction: float | None) -> str:
    """Return a share in percent: ``87 %``, ``0.12 %``, ``0 %``."""
    if fraction is None:
        return NOTHING
    percent = fraction * 100
    if percent == 0 or percent >= 9.95:
        nearly_all = 99.5 <= percent < 100  # which is not all
        return f"{math.floor(percent * 10) / 10:.1f} %" if nearly_all else f"{percent:.0f} %"
    if percent < 0.0005:
        return "≈ 0 %"
    digits = max(1, 1 - math.floor(math.log10(percent)))
    return f"{percent:.{digits}f}".rstrip("0").rstrip(".") + " %"


def file_stem(name: str) -> str:
    """Return a file name for something, without its ending: ``Shop / EU`` → ``Shop-EU``."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "scenario"


def drain_text(seconds: float) -> str:
    """Return a drain timeout or a pause: ``30 s``, ``2.5 s``."""
    return f"{seconds:g} s"


def policy_text(candidate: Candidate) -> str:
    """Return a load balancer's policy in words: ``least connections``."""
    return candidate.policy.replace("_", " ") if candidate.policy else NOTHING


def metric_text(name: str, value: float | None) -> str:
    """Return a value of any metric of `simulation.results.run_result.METRICS`, in the unit of its name."""
    if name.endswith("_fraction"):
        return percent_text(value)
    if name.endswith(("duration_s", "mixed_version_s")):
        return duration_text(value)
    if name.endswith("instance_s"):
        return NOTHING if value is None else f"{count_text(value)} instance-s"
    return latency_text(value) if name.endswith("_s") else count_text(value)


def signed_text(name: str, value: float | None) -> str:
    """Return a difference of a metric: ``+1.20 s``, ``−4 min 10 s``; a difference of 0 has no sign."""
    if value is None:
        return NOTHING
    size = metric_text(name, abs(value))
    return size if value == 0 or size.startswith("≈") else f"{'−' if value < 0 else '+'}{size}"


def difference_text(name: str, difference: Difference) -> str:
    """Return a paired difference with its interval: ``−1 min 30 s (−1 min 41 s to −1 min 20 s)``."""
    mean, interval = difference_texts(name, difference)
    return f"{mean} ({interval})" if interval else mean


def difference_texts(name: str, difference: Difference) -> tuple[str, str]:
    """Return the mean of a paired difference, and its interval; an interval that is unknown is empty."""
    mean = signed_text(name, difference.mean)
    if difference.low is None or difference.high is None:
        return mean, ""
    return mean, f"{signed_text(name, difference.low)} to {signed_text(name, difference.high)}"


def range_text(name: str, figure: Interval) -> str:
    """Return the 5–95 % range of single runs."""
    if figure.run_low is None or figure.run_high is None:
        return NOTHING
    return between_text(metric_text(name, figure.run_low), metric_text(name, figure.run_high))


def verdict_text(result: CandidateResult) -> str:
    """Return a verdict in short: ``✓ meets in 60 of 60``; ``✗ fails in 58 of 60`` counts the runs that fail."""
    verdict = result.verdict
    if verdict.answer == MISSES_ANYWAY:
        return f"{ANSWER_GLYPHS[MISSES_ANYWAY]} {ANSWER_WORDS[MISSES_ANYWAY]}"
    glyph, runs = ANSWER_GLYPHS[verdict.answer], verdict.runs_meeting
    if result.is_open:
        return f"{glyph} so far {runs} of {verdict.runs}"
    if verdict.answer == "fails":
        runs = verdict.runs - verdict.runs_meeting
    words = ANSWER_WORDS[verdict.answer]
    if verdict.answer == "misses_anyway":
        return f"{glyph} {words}"
    words = "undecided, meets" if verdict.answer == "undecided" else words
    return f"{glyph} {words} in {runs} of {verdict.runs}"


def table_row(result: CandidateResult) -> tuple[str, ...]:
    """Return the cells of one candidate, in the order of `TABLE_HEADINGS`: means over its runs."""
    metrics, candidate = result.metrics, result.candidate
    batch = " batch" if candidate.advance == "batch" else ""
    return (
        f"{candidate.window}{batch}",
        str(candidate.surge),
        drain_text(candidate.pause_s),
        drain_text(candidate.drain_timeout_s),
        policy_text(candidate),
        candidate.start_label,
        duration_text(metrics["rollout_duration_s"].mean),
        count_text(metrics["lowest_in_pool_count"].mean),
        latency_text(metrics["rollout_latency_p99_s"].mean),
        percent_text(metrics["rollout_error_fraction"].mean),
        count_text(metrics["failed_requests"].mean),
        verdict_text(result),
    )


def shown_columns(results: Sequence[CandidateResult]) -> list[int]:
    """Return the columns of `TABLE_HEADINGS` to show: a setting only where the candidates differ in it."""
    rows = [table_row(result) for result in results]
    return [
        column
        for column, heading in enumerate(TABLE_HEADINGS)
        if heading not in VARIED or len({row[column] for row in rows}) > 1
    ]


def candidate_name(comparison: Comparison, index: int, *, begins_sentence: bool = True) -> str:
    """Return the name of a candidate among the others of its comparison, see `name_among`."""
    if comparison.scenario.rollout is None:
        return comparison.scenario.name or ("As it is" if begins_sentence else "as it is")
    others = [result.candidate for result in comparison.candidates]
    return name_among(others[index], others, begins_sentence=begins_sentence)


def name_among(
    candidate: Candidate,
    others: Sequence[Candidate],
    *,
    begins_sentence: bool = True,
    with_start: bool = True,
) -> str:
    """Return the name of a candidate among others, which holds only the settings that differ.

    ``Window 3``, ``Window 3, drain 30 s, start 18:00:00``.

    Args:
        candidate: The candidate.
        others: All candidates, this one included.
        begins_sentence: ``Window 3``; else ``window 3``.
        with_start: False leaves the start out.
    """
    return name_of_equals(
        (candidate,), others, begins_sentence=begins_sentence, with_start=with_start
    )


def name_of_equals(
    candidates: Sequence[Candidate],
    others: Sequence[Candidate],
    *,
    begins_sentence: bool = True,
    with_start: bool = True,
) -> str:
    """Return one name for candidates with equal results: ``Window 3, drain 30 s, 60 s or 90 s``.

    Args:
        candidates: All combinations of some values; the name of one candidate is that of `name_among`.
        others: All candidates, these included.
        begins_sentence: ``Window 3``; else ``window 3``.
        with_start: False leaves the start out.
    """
    settings: list[tuple[str, str, Callable[[Candidate], str]]] = [
        ("advance", "", lambda one: one.advance),
        ("surge", "surge ", lambda one: str(one.surge)),
        ("pause_s", "pause ", lambda one: drain_text(one.pause_s)),
        ("drain_timeout_s", "drain ", lambda one: drain_text(one.drain_timeout_s)),
        ("policy", "", policy_text),
    ]
    if with_start:
        settings.append(("start_label", "start ", lambda one: one.start_label))
    windows = values_text([str(one.window) for one in candidates], " or ")
    parts = [f"{'Window' if begins_sentence else 'window'} {windows}"]
    parts += [
        word + values_text([text_of(one) for one in candidates], " or ")
        for name, word, text_of in settings
        if len({getattr(other, name) for other in others}) > 1
    ]
    return ", ".join(parts)


def values_text(values: Sequence[str], last: str = ", ") -> str:
    """Return values, each once: ``30 s, 60 s, 90 s``; of more than three only the ends: ``1 … 9 (5)``.

    Args:
        values: The values, in the order in which they are shown.
        last: The words before the last value.
    """
    distinct = list(dict.fromkeys(values))
    if len(distinct) > MOST_VALUES:
        return f"{distinct[0]} … {distinct[-1]} ({len(distinct)})"
    return last.join([", ".join(distinct[:-1]), distinct[-1]]) if distinct[1:] else distinct[0]


def verdict_sentence(comparison: Comparison, index: int) -> str:
    """Return the verdict of a candidate as a sentence: ``Window 3 meets every objective in 60 of 60 runs``."""
    name = candidate_name(comparison, index)
    return result_sentence(name, comparison.candidates[index])


def result_sentence(name: str, result: CandidateResult) -> str:
    """Return the verdict of a candidate as a sentence; until the last run, how many meet so far."""
    if result.is_open:
        verdict = result.verdict
        return (
            f"{name} meets every objective in {verdict.runs_meeting} of {verdict.runs} runs so far, "
            f"{result.planned_count} decide"
        )
    return sentence_of(name, result.verdict)


def sentence_of(name: str, verdict: Verdict) -> str:
    """Return the verdict of the candidate with this name as a sentence."""
    runs = f"{verdict.runs_meeting} of {verdict.runs} runs"
    if verdict.answer == "meets":
        return f"{name} meets every objective in {runs}"
    if verdict.answer == "undecided":
        return f"{name} is undecided: it meets every objective in {runs}"
    if verdict.answer == MISSES_ANYWAY:
        missed = ", ".join(verdict.missed_anyway())
        return (
            f"{name} breaks nothing in {runs}, but misses anyway, even without a rollout: {missed}"
        )
    few = f"only {runs}" if verdict.runs_meeting else f"none of {verdict.runs} runs"
    return f"{name} fails: it meets every objective in {few}"


def waits_sentence(result: CandidateResult) -> str:
    """Return the sentence that splits the rollout's time into waits and steps; empty without a rollout."""
    words = {
        "drain_s": "draining",
        "step_s": "the other steps",
        "gate_s": "waiting (min_ready, bakes, a place in the window)",
        "pause_s": "pauses",
    }
    means = {name: result.waits[name].mean or 0.0 for name in words}
    total_s = sum(means.values())
    if total_s <= 0:
        return ""
    parts = [
        f"{means[name] / total_s:.0%} to {word}".replace("%", " %")
        for name, word in words.items()
        if means[name] >= 0.005 * total_s
    ]
    along = (
        f" Critical path: {' → '.join(result.critical_path)}"
        if len(result.critical_path) > 1
        else ""
    )
    return f"Of the rollout's time goes {', '.join(parts)}{'.' if along else ''}{along}"
