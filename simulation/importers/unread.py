"""Formats that are recognised but not read, each with a command that converts it.

Each command writes a CSV or plain log lines that `rollcast import` reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulation.importers.readers.json_log import fields_text, parse_object

_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"


@dataclass(frozen=True)
class UnreadFormat:
    """A format that is recognised by its beginning.

    Attributes:
        name: The name of the format, in words.
        pattern: The pattern of its first line.
        advice: A command or an advice for the user; ``FILE`` stands for the file's path.
    """

    name: str
    pattern: re.Pattern[str]
    advice: str


_FORMATS = (
    UnreadFormat(
        "a log of an AWS Application Load Balancer",
        re.compile(rf"^(?:https?|h2|wss?|grpcs?) {_ISO} \S+ \S+ \S+ [\d.-]+ [\d.-]+ [\d.-]+ "),
        """awk 'BEGIN{print "end_time,duration_s"} $7>=0{print $2","$7}' FILE > requests.csv""",
    ),
    UnreadFormat(
        "a log of CloudFront",
        re.compile(
            r"^\d{4}-\d\d-\d\d\t\d\d:\d\d:\d\d\t\S+\t\d+\t|^#Version: 1\.0\t?$|^#Fields:.*x-edge"
        ),
        """awk -F'\\t' 'BEGIN{print "end_time,duration_s"} !/^#/{print $1"T"$2"Z,"$19}' FILE"""
        " > requests.csv",
    ),
    UnreadFormat(
        "an access log of Envoy (its default format)",
        re.compile(rf'^\[{_ISO}\] "[^"]*" \d+ \S+ \d+ \d+ \d+ (?:\d+|-) "'),
        """awk -F'"' 'BEGIN{print "start_time,duration_ms"} {split($3,f," "); gsub(/[][ ]/,"",$1);"""
        """ if (f[6] ~ /^[0-9]+$/) print $1","f[6]}' FILE > requests.csv""",
    ),
    UnreadFormat(
        "an access log of Istio's Envoy",
        re.compile(rf'^\[{_ISO}\] "[^"]*" \d+ \S+ \S+ \S+ "[^"]*" \d+ \d+ \d+ (?:\d+|-) "'),
        """awk -F'"' 'BEGIN{print "start_time,duration_ms"} {split($5,f," "); gsub(/[][ ]/,"",$1);"""
        """ if (f[4] ~ /^[0-9]+$/) print $1","f[4]}' FILE > requests.csv""",
    ),
    UnreadFormat(
        "lines of a container in the CRI format",
        re.compile(rf"^{_ISO} (?:stdout|stderr) [FP] "),
        "sed -E 's/^[^ ]+ (stdout|stderr) [FP] //' FILE > plain.log",
    ),
    UnreadFormat(
        "Docker's json-file format around each line",
        re.compile(r'^\{(?=.*"log":)(?=.*"stream":)(?=.*"time":)'),
        "jq -j .log FILE > plain.log",
    ),
    UnreadFormat(
        "CloudWatch's get-metric-data",
        re.compile(r'^\s*\{\s*"(?:Messages|MetricDataResults)"'),
        'if the metric is a count of requests, as Sum: jq -r \'"time,requests", '
        "(.MetricDataResults[0] | [.Timestamps, .Values] | transpose[] | @csv)' FILE > requests.csv",
    ),
    UnreadFormat(
        "CloudWatch's get-metric-statistics",
        re.compile(r'^\s*\{\s*"(?:Label|Datapoints)"'),
        'if the metric is a count of requests: jq -r \'"time,requests", (.Datapoints | '
        "sort_by(.Timestamp)[] | [.Timestamp, .Sum] | @csv)' FILE > requests.csv",
    ),
    UnreadFormat(
        "Locust's history of statistics",
        re.compile(r'^"?Timestamp"?,"?User Count"?,"?Type"?,"?Name"?,"?Requests/s"?,'),
        """awk -F, 'NR==1{print "time,rps"} $4=="Aggregated"{print $1","$5}' FILE > rate.csv (its"""
        " response times are sums over the test, no requests)",
    ),
    UnreadFormat(
        "points of k6 in JSON",
        re.compile(r'^\{(?=.*"metric":)(?=.*"type":"(?:Metric|Point)")'),
        "k6 run --out csv=result.csv writes what is read",
    ),
)


def advise(head: Sequence[str], shell_word: str) -> str | None:
    """Return what an unread file is and how to convert it; None where its format is not known."""
    text = head[0]
    if len(head) > 1 and head[0].strip() == "{":
        text = " ".join(line.strip() for line in head[:20])
    iis = _advise_on_w3c(head, shell_word)
    if iis is not None:
        return iis
    for form in _FORMATS:
        if form.pattern.match(text):
            return f"is {form.name}, which is not read: {form.advice.replace('FILE', shell_word)}"
    return _advise_on_json(head)


def _advise_on_w3c(head: Sequence[str], shell_word: str) -> str | None:
    """Return the advice for a log of IIS, which names its fields in a line; None for other files.

    The field time-taken is in milliseconds.
    """
    fields_line = next((line for line in head[:20] if line.startswith("#Fields:")), None)
    if fields_line is None:
        return None
    fields = fields_line.removeprefix("#Fields:").split()
    if not {"date", "time", "time-taken"} <= set(fields) or "sc-win32-status" not in fields:
        return None
    date, time, taken = (fields.index(name) + 1 for name in ("date", "time", "time-taken"))
    return (
        "is a log of IIS in the W3C format, which is not read: awk 'BEGIN{print "
        f'"end_time,duration_ms"}} !/^#/{{print ${date}"T"${time}"Z,"${taken}}}\' {shell_word} '
        "> requests.csv"
    )


def _advise_on_json(head: Sequence[str]) -> str | None:
    objects = [line for line in map(parse_object, head[:20]) if line is not None]
    if not objects:
        return None
    return (
        "holds JSON, but no line of it is a request: one needs a time (time, timestamp, msec, ts) "
        "and a status (status, response_code), or a method and a path (method, uri), and both "
        f"where it has a message; found: {fields_text(objects[0])}: take the lines of the access "
        "log, or count them to a CSV with the columns time and requests"
    )
