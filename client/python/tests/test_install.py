"""What is built and installed where there is no compiler, and what a source distribution has."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import shmd

HERE = pathlib.Path(__file__).resolve().parents[1]

PROGRAM = """
import shmd
assert shmd.__file__.startswith({directory!r})
with shmd.Client() as client, client.create("a", 10) as segment:
    segment[0] = 1
    for call in (segment.lock, segment.read_lock, segment.writing, segment.snapshot, segment.wait, segment.notify):
        try:
            call()
        except shmd.Error as error:
            assert type(error) is shmd.Error and "install a C compiler" in str(error) and "python3-dev" in str(error)
        else:
            raise AssertionError(call)
    segment.seal()
    segment.delete()
print("done")
"""


@pytest.fixture
def source(tmp_path):
    """The package's source, which a build leaves things beside."""
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md"):
        shutil.copy(HERE / name, copy)
    for name in ("native", "shmd"):
        shutil.copytree(HERE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def build(source, what, **environment):
    program = f"import os, setuptools.build_meta as backend; os.chdir({str(source)!r}); print(backend.build_{what}('built'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "built" / done.stdout.splitlines()[-1]


def test_without_a_compiler(daemon, source, tmp_path):
    wheel = build(source, "wheel", CC="false")
    directory = str(tmp_path / "installed")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".so", ".c", ".h"))]
        archive.extractall(directory)
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM.format(directory=directory)], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": directory})
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_source_distribution_has_all_that_a_build_needs(source, tmp_path):
    with tarfile.open(build(source, "sdist")) as archive:
        members = {member.name.partition("/")[2]: member for member in archive}
        for name in ("setup.py", "shmd/_sync.pyi", "shmd/py.typed", *(f"native/{each.name}" for each in HERE.glob("native/*"))):
            assert members[name].isfile(), name
        if sys.version_info >= (3, 12):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    unpacked, = tmp_path.glob("shmd-*")
    with zipfile.ZipFile(build(unpacked, "wheel")) as archive:
        assert bool([name for name in archive.namelist() if name.endswith(".so")]) == (shmd._locks._missing is None)
