"""Varlink clients that are not shmd's own: of Debian, of PyPI, and Rust crates."""

import json
import os
import re
import subprocess

from . import varlink
from .languages import ROOT, BuildFailed, Obstacle, need, need_file, run
from .report import FAILED, MARKS, PASSED, SKIPPED, Result

HERE = os.path.join(ROOT, "tests/conformance/stock")
SECONDS = 60
GO_LIBRARY = "/usr/share/gocode/src/github.com/varlink/go"


def go(place):
    if not os.path.exists(GO_LIBRARY):
        raise Obstacle("golang-github-varlink-go-dev is not installed")
    need("go")
    program = place.output("stock-go")
    run(["go", "build", "-o", program, os.path.join(HERE, "go", "main.go")], place, GO111MODULE="off", GOFLAGS="",
        GOPATH="/usr/share/gocode")
    return [program]


def python(place, script):
    need("python3")
    environment, wanted = place.output("stock-python", ""), os.path.join(HERE, "python", "requirements.txt")
    interpreter = os.path.join(environment, "bin", "python")
    if not os.path.exists(interpreter):
        run(["python3", "-m", "venv", environment], place)
    run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], place)
    return [interpreter, "-B", os.path.join(HERE, "python", script)]


def rust(place, name, least):
    source = need_file(os.path.join(HERE, name))
    need("cargo")
    version = run(["cargo", "--version"], place).split()[1]
    if tuple(map(int, version.split(".")[:2])) < least:
        raise Obstacle(f"the crate needs Rust {least[0]}.{least[1]}, and this is {version}")
    target = place.output(name, "target")
    run(["cargo", "build", "--release", "--locked"], place, source, CARGO_TARGET_DIR=target)
    return [os.path.join(target, "release", name)]


CLIENTS = {
    "go": go,
    "py-varlink": lambda place: python(place, "varlink_client.py"),
    "py-asyncvarlink": lambda place: python(place, "asyncvarlink_client.py"),
    "rust-varlink": lambda place: rust(place, "rust-varlink", (1, 73)),
    "rust-zlink": lambda place: rust(place, "rust-zlink", (1, 88)),
}


def expected(daemon, prefix):
    """What each check is to tell, from the suite's own calls."""
    info, texts, methods = {}, {}, {}
    for check, path in (("info", daemon.socket), ("control-info", daemon.control_socket)):
        info[check] = varlink.call(path, "org.varlink.service.GetInfo")
        for name in info[check]["interfaces"]:
            texts[name] = varlink.call(path, "org.varlink.service.GetInterfaceDescription", interface=name)["description"]
            methods[name] = sorted(re.findall(r"^method (\w+)", texts[name], re.MULTILINE))
    return {
        **info,
        "descriptions": texts,
        "parsed": methods,
        "list": [prefix + "a", prefix + "b"],
        "list-empty": [None],
        "error": {"name": "io.shmd.Segments.NoSuchSegment", "parameters": {"key": prefix + "none"}},
        "service-error": {"name": "org.varlink.service.InvalidParameter", "parameters": {"parameter": "attachment"}},
        "expected-more": {"name": "org.varlink.service.ExpectedMore", "parameters": {}},
        "open": {"key": prefix + "a", "fileDescriptor": 0},
        "descriptor": (b"what is in memory" + bytes(83)).hex(),
    }


def told_by(command, daemon, prefix):
    """{check: line} of one client."""
    done = subprocess.run([*command, daemon.socket, daemon.control_socket, prefix], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=SECONDS, check=False, text=True)
    lines = {}
    for text in done.stdout.splitlines():
        line = json.loads(text)
        lines[line["check"]] = line
    return lines, "" if done.returncode == 0 else f"status {done.returncode}: {done.stderr.strip()[-2000:]}"


def judge(check, want, line, wrong):
    """(status, text)"""
    if line is None:
        return FAILED, f"the client told nothing of it: {wrong.splitlines()[-1] if wrong else 'it ended before'}"
    if line.get("got") == want:
        return PASSED, ""
    if isinstance(want, dict) and isinstance(line.get("got"), dict):  # name the part that differs
        names = [name for name in {**want, **line["got"]} if want.get(name) != line["got"].get(name)]
        return FAILED, "\n".join(f"{name}: expected {shown(want.get(name))}, got {shown(line['got'].get(name))}" for name in names)
    return FAILED, f"expected  {shown(want)}\ngot       {shown(line.get('got', line))}"


def shown(value):
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "…"


def build_all(place, report):
    """{client: command} of those that can be built; the others are in the report."""
    built = {}
    for name, build in CLIENTS.items():
        try:
            built[name], status, text = build(place), PASSED, ""
        except (Obstacle, BuildFailed) as why:
            status, text = SKIPPED if isinstance(why, Obstacle) else FAILED, str(why)
        report.add(Result(f"stock client {name}", name, None, status, text))
        report.say(f"  {name:<18} {': '.join([MARKS[status], *text.splitlines()[:1]])}")
    return built


def run_all(daemon, place, report):
    prefix = "stock/"
    for name, content in (("a", b"what is in memory"), ("b", b"")):
        varlink.create(daemon.socket, prefix + name, 100, content)
    wants, cells, clients, notes = expected(daemon, prefix), {}, [], []
    try:
        for name, command in build_all(place, report).items():
            clients.append(name)
            try:
                lines, wrong = told_by(command, daemon, prefix)
            except (subprocess.TimeoutExpired, ValueError, KeyError) as failed:
                lines, wrong = {}, str(failed)
            if wrong:
                report.add(Result("stock: exit", name, None, FAILED, wrong))
            for check, want in wants.items():
                if "cannot" in lines.get(check, {}):  # nobody's fault, and nothing to be done here
                    cells[check, name] = "-"
                    notes.append(f"{name}, {check}: {lines[check]['cannot']}")
                    continue
                status, text = judge(check, want, lines.get(check), wrong)
                report.add(Result(f"stock: {check}", name, None, status, text))
                cells[check, name] = MARKS[status]
    finally:
        for segment in daemon.segments(prefix):
            daemon.control("Delete", id=segment["id"])
    report.table("Clients that are not shmd's own", list(wants), clients, cells)
    report.say("")
    for note in notes:
        report.say(f"  -  {note}")
