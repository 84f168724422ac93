"""A real daemon for the tests: $SHMD_DAEMON, else shmd in $PATH."""

import contextlib
import gc
import importlib.util
import os
import pathlib
import shutil
import time

import pytest

import shmd

ROOT = pathlib.Path(__file__).resolve().parents[3]


def _load_service_manager():
    path = ROOT / "tests" / "support" / "service_manager.py"
    spec = importlib.util.spec_from_file_location("service_manager", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ServiceManager


ServiceManager = _load_service_manager()


def daemon_program():
    found = os.environ.get("SHMD_DAEMON") or shutil.which("shmd")
    if not found:
        raise RuntimeError("no daemon: name its program in $SHMD_DAEMON")
    return found


@pytest.fixture
def start_daemon():
    """Starts daemons with a configuration of their own, under a service manager that keeps what they hold."""
    started = []

    def start(config=None, store=4096):
        manager = ServiceManager(daemon_program(), config=config, store=store)
        started.append(manager)
        manager.start()
        return manager

    yield start
    for manager in started:
        manager.close()


@pytest.fixture(scope="session")
def multiprocessing_helpers():
    """multiprocessing's helper processes, whose descriptors stay."""
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()
    forkserver.ensure_running()


@pytest.fixture(scope="session")
def session_daemon(multiprocessing_helpers):
    with ServiceManager(daemon_program(), store=0) as manager:
        manager.start()
        yield manager


@pytest.fixture
def daemon(session_daemon, monkeypatch):
    """The daemon that the environment names. A test leaves neither segments nor attachments, nor descriptors of its own."""
    monkeypatch.setenv("SHMD_SOCKET", session_daemon.socket)
    monkeypatch.delenv("SHMD_CONTROL_SOCKET", raising=False)
    before = len(open_descriptors())
    yield session_daemon
    from shmd import _client

    _client._shared.clear()
    # A kept exception may hold one that is closed with the next collection.
    if len(open_descriptors()) > before or segments():
        gc.collect()
    attached = delete_all()
    assert not attached, "attachments are left"
    assert len(open_descriptors()) <= before


def wait_for_connections(control, count):
    """Until the daemon has so many: those of earlier tests may still be ending, and a wait begins with its connection."""
    end = time.monotonic() + 60
    while control.call("io.shmd.Control.GetStatus")["connections"] != count:
        assert time.monotonic() < end, "the daemon never had so many connections"


def segments():
    with shmd.Client(control=True) as control:
        return [each["segment"] for each in control.call_many("io.shmd.Control.ListSegments") if each.get("segment")]


def delete_all():
    """Deletes every segment. Those that are attached all the same, once the daemon has had time to see connections end."""
    end = time.monotonic() + 20
    with shmd.Client(control=True) as control:
        while True:
            left = segments()
            for segment in left:
                with contextlib.suppress(shmd.NoSuchSegment):
                    control.call("io.shmd.Control.Delete", {"id": segment["id"]})
            attached = [each for each in left if each["attachmentCount"]]
            if not attached:
                return []
            if time.monotonic() > end:
                control.call("io.shmd.Control.Disconnect", {"pid": os.getpid()})
                return attached


def open_descriptors():
    # The one of the directory that is listed is not among those that are left afterwards.
    def name(number):
        try:
            return os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            return None

    return sorted(number for number in os.listdir("/proc/self/fd") if name(number) is not None)


@pytest.fixture
def client(daemon):
    with shmd.Client() as made:
        yield made


@pytest.fixture
def control(daemon):
    with shmd.Client(control=True) as made:
        yield made
