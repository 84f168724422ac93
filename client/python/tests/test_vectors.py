"""Every file of protocol/vectors: conversations over this package's connection layer, and what it makes of bad replies."""

import base64
import copy
import fcntl
import json
import os
import stat

import pytest

import fake_daemon
import shmd
from conftest import ROOT, open_descriptors
from shmd import _decode
from shmd._connection import Connection
from shmd._errors import Disconnected

VECTORS = ROOT / "protocol" / "vectors"


def load(directory):
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))}
    assert files
    return files


CONVERSATIONS = load(VECTORS)
REPLIES = [(name, vector, case) for name, vector in load(VECTORS / "client").items() for case in vector["cases"]]


def used(value, saved):
    if isinstance(value, dict):
        return saved[value["$use"]] if "$use" in value else {key: used(each, saved) for key, each in value.items()}
    return [used(each, saved) for each in value] if isinstance(value, list) else value


def matches(pattern, value, saved):
    if isinstance(pattern, dict) and "$type" in pattern:
        kind = {"int": int, "string": str, "bool": bool, "array": list}[pattern["$type"]]
        if "$save" in pattern:
            saved[pattern["$save"]] = value
        return type(value) is kind
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(matches(each, value.get(key), saved) for key, each in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and len(value) == len(pattern) and all(
            matches(one, other, saved) for one, other in zip(pattern, value))
    return type(pattern) is type(value) and pattern == value


class Conversation:
    def __init__(self, path):
        self.connection = Connection(path)
        self.saved = {}

    def take(self, step):
        call = used(step.get("call"), self.saved)
        if "rawBase64" in step:
            data = base64.b64decode(step["rawBase64"])
        else:
            data = (step["raw"] if "raw" in step else json.dumps(call)).encode()
        try:
            self.connection._send(data.ljust(step.get("pad", 0)) + b"\0", "talk")
            if step.get("close"):
                with pytest.raises(Disconnected):
                    self.connection._next_message("talk", None)
                return False
        except Disconnected:
            assert step.get("close")
            return False
        for pattern in step.get("replies", [step["reply"]] if "reply" in step else []):
            self.expect(used(pattern, self.saved), call, step.get("fds", 0))
        return True

    def expect(self, pattern, call, count):
        data = self.connection._next_message("talk", None)
        reply = json.loads(data)
        assert set(reply) <= set(pattern) and "parameters" in reply
        assert matches(pattern, reply, self.saved), (pattern, reply)
        _decode.message(data)
        descriptors = self.connection._inbox.take_descriptors()
        taken = [descriptors.take(index) for index in range(count)]
        assert not any(each is not None for each in descriptors._all)
        for descriptor in taken:
            assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert stat.S_ISREG(os.fstat(descriptor).st_mode)
            os.close(descriptor)
        if call is not None and "error" not in reply:
            self.decode(call["method"], reply["parameters"])

    @staticmethod
    def decode(method, parameters):
        """What this package reads of it is what is there."""
        if method in ("io.shmd.Segments.Create", "io.shmd.Segments.Open"):
            assert _decode.grant(parameters).info.to_dict() == parameters["segment"]
        elif method == "io.shmd.Segments.CreateMany":
            assert [each.info.to_dict() for each in _decode.grants(parameters)] == [
                each["segment"] for each in parameters["grants"]]
        elif method == "io.shmd.Segments.OpenMany":
            for read, sent in zip(_decode.open_results(parameters), parameters["results"]):
                if isinstance(read, _decode.Refusal):
                    assert read == _decode.Refusal(sent["error"], sent["parameters"])
                else:
                    assert read.info.to_dict() == sent["grant"]["segment"]
        elif method == "io.shmd.Segments.Watch":
            _decode.event(parameters)
        elif method.startswith("io.shmd.Segments.") and parameters.get("segment") is not None:
            assert _decode.segment_reply(parameters).to_dict() == parameters["segment"]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_daemon_answers_as_the_vector_says(daemon, name):
    vector = CONVERSATIONS[name]
    conversation = Conversation({"segments": daemon.socket, "control": daemon.control_socket}[vector["endpoint"]])
    if all(conversation.take(step) for step in vector["steps"]):
        info = conversation.connection.ask("org.varlink.service.GetInfo", {}, _decode.raw, "ask")
        assert info["product"] == "shmd"


def changed(vector, case):
    if "raw" in case:
        return case["raw"]
    reply = copy.deepcopy(vector["reply"])
    for pointer, value in case.get("set", {}).items():
        *path, last = pointer.split("/")[1:]
        place = reply
        for each in path:
            place = place[each]
        place[last] = value
    for pointer in case.get("remove", []):
        *path, last = pointer.split("/")[1:]
        place = reply
        for each in path:
            place = place[each]
        del place[last]
    return json.dumps(reply)


def say(client, call):
    parameters = call["parameters"]
    if call["method"].endswith(".Create"):
        client.create(parameters["key"], parameters["sizeBytes"]).close()
    elif call["method"].endswith(".Describe"):
        client.describe(parameters["key"])
    else:
        client.delete(parameters["key"])


@pytest.mark.parametrize(("name", "vector", "case"), REPLIES, ids=[f"{n}: {c['description']}" for n, _, c in REPLIES])
def test_a_reply_has_the_outcome_that_the_vector_says(name, vector, case):
    text = changed(vector, case)
    count = case.get("fds", vector.get("fds", 0))
    before = open_descriptors()

    def answer(call, connection):
        if call.get("oneway"):
            return
        descriptors = [fake_daemon.memory(4097) for _ in range(count)]
        fake_daemon.reply(connection, text, descriptors)
        for each in descriptors:
            os.close(each)

    with fake_daemon.FakeDaemon(answer) as fake, shmd.Client(fake.path) as client:
        if case["outcome"] == "value":
            say(client, vector["call"])
        elif case["outcome"] == "error":
            with pytest.raises(shmd.Error) as raised:
                say(client, vector["call"])
            assert raised.value.name == case["error"]
            assert not isinstance(raised.value, shmd.ProtocolError)
        else:
            assert case["outcome"] == "broken"
            with pytest.raises(shmd.ProtocolError):
                say(client, vector["call"])
            assert fake.closed.wait(60), "the connection is not closed"
        sent = fake.calls[0]
        assert (sent["method"], sent["parameters"]) == (vector["call"]["method"], vector["call"]["parameters"])
    assert open_descriptors() == before
