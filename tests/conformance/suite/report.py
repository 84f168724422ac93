"""What a person reads: the matrix, and each failure by name."""

import sys
import traceback
from collections import Counter

from . import varlink
from .agent import AgentFailed, Missing, Refused
from .cell import Mismatch, Skipped

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
MARKS = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "skipped"}


class Result:
    """One cell. text: what was wrong, or why it was skipped."""

    def __init__(self, scenario, writer, reader, status, text=""):
        self.scenario, self.writer, self.reader, self.status, self.text = scenario, writer, reader, status, text

    def name(self):
        if self.reader is None or self.writer == self.reader and self.scenario in ("exit", "build", "vectors"):
            return f"{self.scenario}: {self.writer}"
        return f"{self.scenario}: {self.writer} writes, {self.reader} reads"


def judged(wrong):
    """(status, text) of what a check has raised."""
    if isinstance(wrong, (Missing, Skipped)):
        return SKIPPED, str(wrong)
    if isinstance(wrong, Mismatch):
        return FAILED, f"{wrong.what}\nexpected  {wrong.expected}\ngot       {wrong.got}"
    if isinstance(wrong, (Refused, AgentFailed, varlink.Refused)):
        return FAILED, str(wrong)
    # Such as an answer without what it must have.
    return FAILED, "".join(traceback.format_exception(wrong, limit=-3)).strip()


class Report:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.results = []
        self.cells = []  # those of the matrix
        self.tables = []  # (title, row names, column names, {(row, column): text})
        self.types = {}  # error -> language -> the type that reports it

    def say(self, text=""):
        print(text, file=self.out, flush=True)

    def add(self, result):
        self.results.append(result)

    def scenario(self, scenario, results):
        """Tells how a scenario went, as soon as it is over."""
        self.results += results
        self.cells += results
        counts = Counter(result.status for result in results)
        told = ", ".join(f"{counts[status]} {status}" for status in (PASSED, FAILED, SKIPPED) if counts[status])
        self.say(f"  {scenario.name:<18} {told}")
        for result in results:
            if result.status == FAILED:
                self.say(f"      FAILED: {result.writer} writes, {result.reader} reads")

    def matrix(self, languages):
        cells = {}
        for writer in languages:
            for reader in languages:
                counts = Counter(result.status for result in self.cells
                                 if (result.writer, result.reader) == (writer, reader))
                tried = counts[PASSED] + counts[FAILED]
                cells[writer, reader] = f"{counts[PASSED]}/{tried}" + ("!" if counts[FAILED] else "")
        self.table("Scenarios passed: the row writes, the column reads", languages, languages, cells)

    def error_types(self, languages):
        if self.types:
            cells = {(error, language): types.get(language, "") for error, types in self.types.items()
                     for language in languages}
            self.table("The type of each error", sorted(self.types), languages, cells)

    def table(self, title, rows, columns, cells):
        width = max([len(row) for row in rows] + [0])
        widths = [max([len(column)] + [len(cells.get((row, column), "")) for row in rows]) for column in columns]
        self.say(f"\n{title}\n")
        self.say("  ".join([" " * (width + 2), *(f"{column:>{w}}" for column, w in zip(columns, widths))]).rstrip())
        for row in rows:
            self.say("  ".join([f"  {row:<{width}}", *(f"{cells.get((row, column), ''):>{w}}"
                                                        for column, w in zip(columns, widths))]).rstrip())

    def end(self, strict=False):
        """Lists what was skipped and what failed. strict: what was skipped has failed. The exit status."""
        if strict:
            for result in self.results:
                result.status = FAILED if result.status == SKIPPED else result.status
        reasons = {}
        for result in self.results:
            if result.status == SKIPPED:
                reasons.setdefault(result.text, []).append(result.name())
        for text, names in reasons.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.say(f"\n{MARKS[SKIPPED]}  {names[0]}{more}\n    {text}")
        for result in self.results:
            if result.status == FAILED:
                self.say(f"\n{MARKS[FAILED]}  {result.name()}")
                for line in result.text.splitlines():
                    self.say(f"    {line}")
        counts = Counter(result.status for result in self.results)
        self.say(f"\n{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
        return 1 if counts[FAILED] or not counts[PASSED] else 0
