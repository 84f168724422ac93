"""The workers of all languages: how each is built and started. What conformance builds already is taken from there."""

import glob
import os
import sys
import sysconfig

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKERS = os.path.join(HERE, "workers")
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "conformance"))

from suite import languages as agents  # noqa: E402
from suite.languages import BuildFailed, Obstacle, Place, need, need_file, run  # noqa: E402

__all__ = ["LANGUAGES", "BuildFailed", "Obstacle", "Place", "python_client"]


def _worker(name):
    return need_file(os.path.join(WORKERS, name))


def c(place):
    ready = os.environ.get("SHMD_TORTURE_WORKER_C")
    if ready:
        return [need_file(ready)], {}
    need("cc")
    output = place.output("torture", "c")
    source = _worker("worker.c")
    run(["cc", "-std=gnu11", "-O1", source, "-o", output, *agents.pkg_config(place, "shmd")], place, WORKERS)
    return [output], {}


def _interpreter():
    """One that other users can run, too, if there is any. The extension is the same for all."""
    for path in (sys.executable, "/usr/bin/python3"):
        real = os.path.realpath(path)
        parents = [real]
        while parents[-1] != "/":
            parents.append(os.path.dirname(parents[-1]))
        if os.path.exists(real) and all(os.stat(each).st_mode & 0o001 for each in parents):
            return path
    return sys.executable


def python_client(place):
    """The directory of the package, with its part in C."""
    headers = sysconfig.get_paths()["include"]
    source = os.path.join(agents.CLIENTS, "python")
    native = glob.glob(os.path.join(need_file(os.path.join(source, "native")), "*.c"))
    shared = [os.path.realpath(name) for name in glob.glob(os.path.join(source, "native", "*.h"))]
    need("cc")
    if not os.path.exists(os.path.join(headers, "Python.h")):
        raise Obstacle("Python.h is not installed (python3-dev)")
    copy, done = agents.copied(place, source, "torture/python", "shmd/_sync.abi3.so", ("tests", "__pycache__"), shared)
    if not done:
        run(["cc", "-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-DPy_LIMITED_API=0x03090000", f"-I{headers}", *native,
             "-o", os.path.join(copy, "shmd", "_sync.abi3.so")], place, source)
    return copy


def python(place):
    return [_interpreter(), "-B", _worker("worker.py")], {"PYTHONPATH": python_client(place)}


def php(place):
    worker = _worker("worker.php")
    command, environment = agents.php(place)
    return [*command[:-1], worker], environment


def node(place):
    worker = _worker("worker.mjs")
    _, environment = agents.node(place)
    return ["node", worker], environment


def go(place):
    source = _worker("go")
    need("go")
    output = place.output("torture", "go")
    run(["go", "build", "-o", output, "."], place, source)
    return [output], {}


def rust(place):
    source = _worker("rust")
    need("cargo")
    need_file(os.path.join(agents.CLIENTS, "rust", "src", "locks.rs"))
    target = place.output("torture", "rust", "target")
    run(["cargo", "build", "--release", "--locked"], place, source, CARGO_TARGET_DIR=target)
    return [os.path.join(target, "release", "shmd-torture-worker")], {}


LANGUAGES = {"c": c, "python": python, "go": go, "rust": rust, "node": node, "php": php}
