"""The examples of the README run as they stand, one after another, and so do those of the docstrings."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import shmd

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_begins_with_install_and_five_lines_that_work(daemon):
    text = README.read_text(encoding="utf-8")
    languages = re.findall(r"^```(\w+)$", text, re.MULTILINE)
    assert languages[:2] == ["sh", "python"]
    first = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)
    assert len([line for line in first.splitlines() if line.strip()]) == 5
    subprocess.run([sys.executable, "-W", "error", "-c", first], check=True)


def test_the_examples_run(daemon, capsys):
    pytest.importorskip("numpy", reason="numpy is not installed")
    text = README.read_text(encoding="utf-8")
    names = {}
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text[: match.start(1)].count("\n")
        exec(compile("\n" * line + match.group(1), str(README), "exec"), names)
    names.clear()
    assert "cannot create segment 'table' of 10 bytes: the key 'table' is taken" in capsys.readouterr().out


def test_the_package_docstring_runs(daemon):
    first, second = re.findall(r"((?:^    .*\n|^\n(?=    ))+)", shmd.__doc__, re.MULTILINE)
    program = "\n".join(line[4:] for line in (first + second).splitlines())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "b'hello'\n"


def test_everything_public_is_documented():
    for name in shmd.__all__:
        thing = getattr(shmd, name)
        assert thing.__doc__, name
        assert thing.__module__ == "shmd"
        if isinstance(thing, type) and not issubclass(thing, Exception) and thing is not shmd.ShareableList:
            for method, value in vars(thing).items():
                if not method.startswith("_") and callable(value) and method not in ("close", "aclose"):
                    assert value.__doc__, f"{name}.{method}"


def test_the_readme_names_every_error():
    text = README.read_text(encoding="utf-8")
    for name in shmd.__all__:
        thing = getattr(shmd, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            assert f"{name}`" in text or f"shmd.{name}" in text, name


def test_the_benchmark_gives_its_rows(daemon):
    pytest.importorskip("numpy", reason="numpy is not installed")
    program = README.parent / "bench.py"
    done = subprocess.run([sys.executable, program, "--size", "65536", "--rounds", "1"], capture_output=True, text=True,
                          check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {tuple(sorted(row)) for row in rows} == {("case", "language", "median_us"), ("case", "language", "ratio")}
    assert len(rows) == 15
    assert shmd.Client().list() == []
