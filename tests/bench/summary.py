#!/usr/bin/env python3
"""Puts the rows of several programs into one file, and draws the main ones: how long others take, where shmd takes 1.

  summary.py --json bench.json --svg bench.svg PART.json...
"""

import argparse
import json
import math
import pathlib
from xml.sax.saxutils import escape

# What is drawn: heading, then (case, reference, name in the plot). What was not measured is left out.
PLOT = [
    ("open a segment of 4 KiB", [
        ("open", "floor", "the floor"),
        ("open", "POSIX", "POSIX shm"),
        ("open", "System V", "System V"),
    ]),
    *(
        (f"create, write, open, read, delete {size}", [
            (f"put and get, {size}", "memfd, passed", "memfd, passed on"),
            (f"put and get, {size}", "POSIX", "POSIX shm"),
            (f"put and get, {size}", "System V", "System V"),
            (f"put and get, {size}", "Redis", "Redis, set and get"),
            (f"put and get, {size}", "memcached", "memcached, set and get"),
        ])
        for size in ("4 KiB", "1 MiB", "64 MiB")
    ),
    *(
        (f"write and read {size} again", [
            (f"put again and get, {size}", "Redis", "Redis, set and get"),
            (f"put again and get, {size}", "memcached", "memcached, set and get"),
        ])
        for size in ("4 KiB", "1 MiB")
    ),
    *(
        (f"create, write, open, read, delete {size} in Python", [
            (f"Python, put and get, {size}", "shared_memory", "multiprocessing.shared_memory"),
            (f"Python, put and get, {size}", "Plasma", "Arrow Plasma"),
            (f"Python, put and get, {size}", "vineyard", "vineyard"),
        ])
        for size in ("4 KiB", "1 MiB")
    ),
    ("write and read 1 MiB again, in Python", [
        ("Python, put again and get, 1 MiB", "Plasma", "Arrow Plasma"),
        ("Python, put again and get, 1 MiB", "vineyard", "vineyard"),
    ]),
    ("create 1 GiB and write all of it once", [
        ("fresh 1024 MiB", "POSIX, lazily created", "POSIX shm"),
        ("fresh 1024 MiB", "memfd, reserved", "memfd, reserved"),
    ]),
    ("send 4 KiB and have an answer, ring buffer", [
        ("ring, 4 KiB there and back", "Unix socket", "Unix socket"),
        ("ring, 4 KiB, there and back, blocking, one processor", "iceoryx", "iceoryx"),
    ]),
    ("lock and unlock", [
        ("lock and unlock", "pthread mutex, shared", "pthread mutex"),
        ("lock and unlock", "pthread mutex, robust", "pthread mutex, robust"),
    ]),
]

WIDTH, LABELS, LEFT, RIGHT = 760, 210, 250, 60
TOP, LINE, HEADING, GAP = 64, 18, 22, 8
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .paper { fill: #ffffff } .heading { font-weight: 600 } .quiet { fill: #57606a }
  .grid { stroke: #d8dee4 } .ours { stroke: #24292f; stroke-width: 1.5 }
  .slower { fill: #1a7f5a; stroke: #1a7f5a } .faster { fill: #b35900; stroke: #b35900 } .stem { stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .paper { fill: #0d1117 } .quiet { fill: #9198a1 } .grid { stroke: #30363d } .ours { stroke: #e6edf3 }
    .slower { fill: #3fb984; stroke: #3fb984 } .faster { fill: #f0883e; stroke: #f0883e }
  }"""


def times_as_long(ratio):
    """Of the reference, where ours is 1."""
    value = 1 / ratio
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def chosen(rows):
    """[(heading, [(name, ratio)])] of what was measured."""
    found = {(row["case"], row["referenceName"]): row["ratio"] for row in rows if "ratio" in row}
    for heading, entries in PLOT:
        measured = [(name, found[case, reference]) for case, reference, name in entries if (case, reference) in found]
        if measured:
            yield heading, measured


class Scale:
    """Decades and their thirds and halves, from the smallest to the largest that is drawn."""

    def __init__(self, values):
        marks = [mantissa * 10.0**decade for decade in range(-3, 6) for mantissa in (1, 2, 5)]
        self.low = max(mark for mark in marks if mark < min([*values, 1]))
        self.high = min(mark for mark in marks if mark > max([*values, 1]))
        self.marks = [mark for mark in marks if self.low <= mark <= self.high]

    def x(self, value):
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def draw_groups(groups, scale, y):
    for heading, entries in groups:
        y += HEADING
        yield text(12, y - 6, heading, "heading")
        for name, ratio in entries:
            middle, x = y + LINE / 2, scale.x(1 / ratio)
            kind = "slower" if ratio <= 1 else "faster"
            yield text(LABELS, middle + 4, name, "quiet", "end")
            yield line(scale.x(1), middle, x, middle, f"stem {kind}")
            yield f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="4" class="{kind}"/>'
            side, anchor = (8, "start") if ratio <= 1 else (-8, "end")
            yield text(x + side, middle + 4, times_as_long(ratio), "", anchor)
            y += LINE
        y += GAP


def height_of(groups):
    return TOP + sum(HEADING + LINE * len(entries) + GAP for _, entries in groups) + 12


def draw(rows):
    groups = list(chosen(rows))
    if not groups:
        raise SystemExit("summary.py: none of the rows is one that is drawn")
    scale = Scale([1 / ratio for _, entries in groups for _, ratio in entries])
    height = height_of(groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        ' role="img">',
        "<title>How long others take, where shmd takes 1</title>",
        f"<style>{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        text(12, 24, "How long others take, where shmd takes 1 (medians, logarithmic)", "heading"),
    ]
    for mark in scale.marks:
        x, ours = scale.x(mark), mark == 1
        parts.append(line(x, TOP - 8, x, height - 12, "ours" if ours else "grid"))
        parts.append(text(x, TOP - 14, "shmd" if ours else f"{mark:g}", "" if ours else "quiet", "middle"))
    parts += draw_groups(groups, scale, TOP)
    return "\n".join([*parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", metavar="PART.json")
    parser.add_argument("--json", required=True)
    parser.add_argument("--svg", required=True)
    given = parser.parse_args()
    rows = [row for part in given.parts for row in json.loads(pathlib.Path(part).read_text())]
    pathlib.Path(given.json).write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    pathlib.Path(given.svg).write_text(draw(rows))


if __name__ == "__main__":
    main()
