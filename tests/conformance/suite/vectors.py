"""protocol/vectors, through each language's client.

client/*.json: a socket of the suite plays the daemon, and the client must make of each reply what the case says, send
the call that the file names, and leave nothing open. The conversations: what an agent can say of them it says to the
real daemon, and must come to the same replies.
"""

import copy
import json
import os
import tempfile

from . import conversations
from .agent import Agent, Refused
from .cell import Mismatch
from .fake_daemon import FakeDaemon, memory
from .languages import ROOT
from .report import FAILED, PASSED, Result, judged

VECTORS = os.path.join(ROOT, "protocol", "vectors")
CASE_SECONDS = 30
CONTENT = b"the one that is named"
# What a call may say beside what the vector names: the same as if it said nothing.
DEFAULTS = {"mode": 0o600, "createMode": "new", "access": "write", "reserve": "allocate", "staged": False,
            "lifetime": "persistent", "labels": {}, "evictable": False, "sealable": True, "acl": [], "hugePages": "none",
            "numaNodes": [], "placementFallback": False}


def files(directory):
    for name in sorted(os.listdir(directory)):
        if name.endswith(".json"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                yield name[:-len(".json")], json.load(file)


def pointed(document, pointer):
    """The container and the last step of a JSON pointer."""
    *path, last = pointer.split("/")[1:]
    for step in path:
        document = document[step]
    return document, last


def reply_of(vector, case):
    """The text that the daemon sends, and how many descriptors go with it."""
    fds = case.get("fds", vector.get("fds", 0))
    if "raw" in case:
        return case["raw"], fds
    reply = copy.deepcopy(vector["reply"])
    for pointer, value in case.get("set", {}).items():
        place, last = pointed(reply, pointer)
        place[last] = value
    for pointer in case.get("remove", []):
        place, last = pointed(reply, pointer)
        place.pop(last, None)
    return json.dumps(reply), fds


class Client:
    """The agent of one language that speaks to a FakeDaemon."""

    def __init__(self, language, command, environment):
        self.directory = tempfile.TemporaryDirectory(prefix="shmd-vectors-")
        path = os.path.join(self.directory.name, "io.shmd.Segments")
        os.chmod(self.directory.name, 0o755)
        self.daemon = FakeDaemon(path)
        self.agent = Agent(language, "reader", command, {**environment, "SHMD_SOCKET": path})
        self.idle = None  # descriptors and mappings once it is connected and has nothing open

    def close(self, kill=False):
        self.agent.extend(10)
        if kill:
            self.agent.kill()
        else:
            self.agent.end()
        self.daemon.close()
        self.directory.cleanup()


def check_call(vector, calls):
    """The client has said what the file names, give or take defaults."""
    if not calls:
        raise Mismatch("the call", vector["call"], "none")
    said = {name: value for name, value in (calls[0].get("parameters") or {}).items() if value is not None}
    wanted = vector["call"]["parameters"]
    size = said.get("sizeBytes")
    extra = {name: value for name, value in said.items() if name not in wanted and value != DEFAULTS.get(name, ...)
             and (name, value) != ("capacityBytes", size)}
    if extra or any(said.get(name) != value for name, value in wanted.items()):
        raise Mismatch("the parameters of the call", wanted, said)


def run_case(client, vector, case):
    op = vector["call"]["method"].rsplit(".", 1)[-1].lower()
    text, count = reply_of(vector, case)
    reply = vector["reply"].get("parameters", {})
    size = reply.get("segment", {}).get("capacityBytes", 1)
    named = case.get("set", {}).get("/parameters/fileDescriptor", 0)
    fds = [memory(size, CONTENT if number == named else b"another one") for number in range(count)]
    client.agent.extend(CASE_SECONDS)
    client.daemon.answer(vector["call"]["method"], text, fds)
    try:
        try:
            answer = client.agent.call(op, **vector["call"]["parameters"])
            outcome, error = "value", None
        except Refused as refused:
            outcome, error = ("error" if refused.from_daemon() else "broken"), refused
    finally:
        for fd in fds:
            os.close(fd)
    check_call(vector, client.daemon.calls)
    if outcome != case["outcome"]:
        raise Mismatch("the outcome", case["outcome"], f"{outcome}: {error or answer}")
    if outcome == "error" and error.name != case["error"]:
        raise Mismatch("the error", case["error"], error.name)
    if outcome == "broken" and not client.daemon.closed(CASE_SECONDS):
        raise Mismatch("the connection after a reply that makes no sense", "closed", "open")
    if outcome == "value" and "handle" in answer:
        got = bytes.fromhex(client.agent.call("read", handle=answer["handle"], offset=0, length=len(CONTENT))["hex"])
        if got != CONTENT:
            raise Mismatch("the memory", CONTENT, got)
        client.agent.call("close", handle=answer["handle"])
    if outcome == "value" and "segment" in answer:
        sent = json.loads(text)["parameters"]["segment"]
        for name, value in answer["segment"].items():
            if value != sent.get(name) and not (name == "labels" and value == {}) and name in sent:
                raise Mismatch(f"{name} of the segment", sent.get(name), value)
    # A client may keep what it needs no more until its next call, and no longer.
    client.daemon.answer(None, None, [])
    client.agent.call("delete", key="vectors/client/a")
    after = client.agent.descriptors()
    if after[0] > client.idle[0] or after[1] > client.idle[1]:
        raise Mismatch("descriptors and mappings afterwards, at most as many as at first", client.idle, after)


def replies(built, environment, report):
    """client/*.json for each language: {(file, language): "32/32"}"""
    cells = {}
    for language, (command, more) in built.items():
        client = None
        for name, vector in files(os.path.join(VECTORS, "client")):
            passed = 0
            for case in vector["cases"]:
                status, text = PASSED, ""
                try:
                    if not client:
                        client = Client(language, command, {**environment, **more})
                        warm_up(client)
                    run_case(client, vector, case)
                except Exception as wrong:  # pylint: disable=broad-except
                    status, text = judged(wrong)
                if status != PASSED and client:
                    client.close(kill=True)
                    client = None
                passed += status == PASSED
                report.add(Result(f"vector client/{name}, {case['description']}", language, None, status, text))
            cells[f"client/{name}", language] = f"{passed}/{len(vector['cases'])}"
        if client:
            client.close()
    return cells


def warm_up(client):
    """A grant that goes well, and what the process has then."""
    vector = dict(files(os.path.join(VECTORS, "client")))["grant"]
    fd = memory(4097, CONTENT)
    client.daemon.answer(vector["call"]["method"], json.dumps(vector["reply"]), [fd])
    answer = client.agent.call("create", **vector["call"]["parameters"])
    os.close(fd)
    client.agent.call("read", handle=answer["handle"], offset=0, length=1)
    client.agent.call("close", handle=answer["handle"])
    client.idle = client.agent.descriptors()


def spoken(built, environment, daemon, report):
    """The conversations for each language, with the real daemon."""
    cells = {}
    for language, (command, more) in built.items():
        agent, passed, held = None, 0, 0
        for name, vector in files(VECTORS):
            status, text = PASSED, ""
            try:
                agent = agent or Agent(language, "reader", command, {**environment, **more})
                agent.extend(CASE_SECONDS)
                conversations.run(agent, vector, daemon.socket)
            except conversations.NotForClients:
                continue
            except Exception as wrong:  # pylint: disable=broad-except
                status, text = judged(wrong)
            if status != PASSED and agent:
                agent.kill()
                agent = None
            for segment in daemon.segments(f"vectors/{name}/"):
                daemon.control("Delete", id=segment["id"])
            held += 1
            passed += status == PASSED
            report.add(Result(f"vector {name}", language, None, status, text))
        if agent:
            agent.end()
        cells["conversations", language] = f"{passed}/{held}"
    return cells


def run_all(built, environment, daemon, report):
    cells = {**replies(built, environment, report), **spoken(built, environment, daemon, report)}
    report.table("Vectors that the client parses and produces", sorted({row for row, _ in cells}), list(built), cells)
