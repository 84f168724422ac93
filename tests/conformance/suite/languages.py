"""The languages: how each one's agent is built and started. A new language is one more entry here and its agent."""

import glob
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
AGENTS = os.path.join(os.path.dirname(HERE), "agents")
ROOT = os.path.abspath(os.path.join(HERE, "../../.."))
CLIENTS = os.path.join(ROOT, "client")


class Obstacle(Exception):
    """The language cannot be tested here, for a reason that is not its client's fault."""


class BuildFailed(Exception):
    pass


class Place:
    """Where things are: prefix is libshmd's install prefix, build a directory for what is built."""

    def __init__(self, prefix, build):
        self.prefix, self.build = prefix, build
        found = glob.glob(os.path.join(prefix, "lib*", "**", "libshmd.so"), recursive=True) if prefix else []
        self.library = os.path.dirname(found[0]) if found else None

    def environment(self):
        """For programs that are linked with libshmd, and for building them."""
        environment = {"SHMD_PREFIX": self.prefix or ""}
        if self.library:
            for name, path in (("LD_LIBRARY_PATH", self.library), ("LIBRARY_PATH", self.library),
                               ("PKG_CONFIG_PATH", os.path.join(self.library, "pkgconfig"))):
                environment[name] = ":".join(filter(None, [path, os.environ.get(name)]))
        return environment

    def output(self, *names):
        path = os.path.join(self.build, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Obstacle(f"{program} is not installed")


def need_file(path):
    if not os.path.exists(path):
        raise Obstacle(f"{os.path.relpath(path, ROOT)} is not there")
    return path


def run(command, place, directory=AGENTS, timeout=900, **environment):
    """Builds something."""
    try:
        done = subprocess.run(command, cwd=directory, env={**os.environ, **place.environment(), **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{' '.join(command)} took more than {timeout} s") from None
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(command)}\n{done.stdout.strip()[-4000:]}")
    return done.stdout


def pkg_config(place, *packages):
    need("pkg-config")
    try:
        return run(["pkg-config", "--cflags", "--libs", *packages], place).split()
    except BuildFailed as failed:
        raise Obstacle(str(failed)) from None


def compiled(place, compiler, flags, source, packages, name):
    """The program: as CMake has built it, or built here."""
    ready = os.environ.get(f"SHMD_AGENT_{name.upper()}")
    if ready:
        return [need_file(ready)]
    need(compiler)
    output = place.output(name)
    run([compiler, *flags, "-O1", os.path.join(AGENTS, source), "-o", output, *pkg_config(place, *packages)], place)
    return [output]


def c(place):
    return compiled(place, "cc", ["-std=gnu11"], "c.c", ["shmd", "jansson"], "c"), {}


def cpp(place):
    return compiled(place, "c++", ["-std=c++20"], "cpp.cpp", ["shmd", "nlohmann_json"], "cpp"), {}


def copied(place, source, name, built, leave_out=(), needs=()):
    """Where a client is built: a copy of its directory, made anew when something there or in needs is newer than what was built."""
    copy = place.output(name, "")
    made = os.path.join(copy, built)
    sources = [os.path.join(directory, each) for directory, _, names in os.walk(source) for each in names
               if not set(os.path.relpath(directory, source).split(os.sep)) & set(leave_out)]
    if os.path.exists(made) and os.path.getmtime(made) > max(map(os.path.getmtime, [*sources, *needs])):
        return copy, True
    shutil.rmtree(copy)
    shutil.copytree(source, copy, ignore=lambda directory, names: set(leave_out) & set(names), symlinks=True)
    return copy, False


def python(place):
    need("python3")
    client = need_file(os.path.join(CLIENTS, "python"))
    return ["python3", "-B", need_file(os.path.join(AGENTS, "python.py"))], {"PYTHONPATH": client}


def php(place):
    agent = need_file(os.path.join(AGENTS, "php.php"))
    config = next((name for name in ("php-config8.2", "php-config") if shutil.which(name)), None)
    if not config:
        raise Obstacle("php-config is not installed (php-dev)")
    need("autoconf", "make", "cc")
    phpize = shutil.which(config).replace("php-config", "phpize")
    build, done = copied(place, os.path.join(CLIENTS, "php"), "php", "modules/shmd.so",
                         needs=glob.glob(os.path.join(place.prefix, "include", "shmd", "*.h")))
    if not done:
        run([phpize], place, build)
        run(["./configure", f"--with-php-config={config}"], place, build)
        run(["make", "-j2"], place, build)
    program = run([config, "--php-binary"], place).strip()
    return [program, "-n", "-d", f"extension_dir={os.path.join(build, 'modules')}", "-d", "extension=shmd", agent], {}


def node(place):
    agent = need_file(os.path.join(AGENTS, "node.mjs"))
    need("node", "npm")
    build, done = copied(place, os.path.join(CLIENTS, "node"), "node", "build/Release/shmd.node", ("node_modules", "build", "test"))
    if not done:
        # The headers that it shares with other clients are there.
        run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"], place, build, SHMD_SOURCE_DIR=os.path.dirname(CLIENTS))
    return ["node", agent], {"SHMD_NODE_PACKAGE": build}


def go(place):
    source = need_file(os.path.join(AGENTS, "go"))
    need("go")
    run(["go", "build", "-o", place.output("go"), "."], place, source)
    return [place.output("go")], {}


def rust(place):
    source = need_file(os.path.join(AGENTS, "rust"))
    need("cargo")
    target = place.output("rust", "target")
    run(["cargo", "build", "--release", "--locked"], place, source, CARGO_TARGET_DIR=target)
    return [os.path.join(target, "release", "shmd-conformance-agent")], {}


# In the order of the table. Each function builds the agent and gives its command and environment. Raises Obstacle or
# BuildFailed.
LANGUAGES = {"c": c, "cpp": cpp, "python": python, "php": php, "node": node, "go": go, "rust": rust}
