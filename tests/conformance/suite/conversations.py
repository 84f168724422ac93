"""The conversations of protocol/vectors, said through a language's client to the real daemon.

A step that a typed client can say goes through the agent, and what it answers must match the vector's reply. Steps that
it cannot, such as ill-typed parameters, the suite says itself on a connection beside it, so that the rest means the
same. A conversation that names an attachment in such a step, or is about broken messages, is not one for clients: the
daemon's own tests have it.
"""

import json
import os
import socket

from .agent import Refused
from .cell import Mismatch

TARGET = {"key": str, "id": int}
ATTRIBUTES = {"mode": int, "lifetime": str, "leaseUsec": int, "evictable": bool, "labels": dict}
# method: (op, what its parameters may be). Every one is optional here: what is missing is the client's to notice.
SAYABLE = {
    "Create": ("create", {"key": str, "sizeBytes": int, "createMode": str, "access": str, "reserve": str, "staged": bool,
                          "sealable": bool, "capacityBytes": int, **ATTRIBUTES}),
    "Open": ("open", {**TARGET, "access": str, "waitUsec": int, "sealed": bool}),
    "OpenMany": ("openMany", {"targets": list, "access": str}),
    "Describe": ("describe", TARGET),
    "List": ("list", {"prefix": str}),
    "Delete": ("delete", TARGET),
    "Renew": ("renew", TARGET),
    "SetAttributes": ("setAttributes", {**TARGET, **ATTRIBUTES, "removeLabels": list}),
    "Publish": ("publish", {"attachment": object, "key": str, "replace": bool}),
    "Detach": ("close", {"attachment": object}),
}
ENUMS = {"access": ("read", "write"), "createMode": ("new", "any"), "reserve": ("lazy", "allocate", "populate"),
         "lifetime": ("persistent", "attached", "creator", "lease")}
NEEDED = {"Open": {"access"}, "OpenMany": {"targets", "access"}, "Create": {"sizeBytes"}, "Publish": {"attachment"},
          "Detach": {"attachment"}}
# What an answer of an agent need not have of a reply.
NOT_TOLD = {"attachment", "fileDescriptor", "created", "acl", "leaseUsec", "hugePages", "numaNodes", "expiresUsec",
            "attachedUsec", "detachedUsec", "createdUsec", "changedUsec", "evictable", "creatorUid", "creatorGid",
            "creatorPid", "ownerGid"}


# Not for a suite to say beside the client: who else is attached matters to the first two, and the others are about an
# attachment of the client's own.
OWN = tuple("io.shmd.Segments." + name for name in ("Resize", "Resume", "OpenDetachQueue", "OpenSyncArea", "RecoverLocks"))


class NotForClients(Exception):
    pass


class Handle(int):
    """What stands for a saved attachment: the agent's handle."""


def fits(value, kind):
    if kind in (int, bool):
        return type(value) is kind
    return isinstance(value, kind) and "\\u0000" not in json.dumps(value, default=int)  # C's texts end there


def sayable(call):
    """(op, arguments), or None when a typed client cannot say this."""
    name = str(call.get("method", "")).removeprefix("io.shmd.Segments.")
    if name not in SAYABLE or call.get("oneway") or call.get("upgrade") or bool(call.get("more")) != (name == "List"):
        return None
    op, kinds = SAYABLE[name]
    arguments = {key: value for key, value in (call.get("parameters") or {}).items() if value is not None}
    for key, value in arguments.items():
        if key not in kinds or not (fits(value, kinds[key])):
            return None
        if key in ENUMS and value not in ENUMS[key]:
            return None
    if NEEDED.get(name, set()) - set(arguments):
        return None
    if "id" in kinds and ("id" in arguments) == ("key" in arguments) or "id" in arguments and "waitUsec" in arguments:
        return None
    # By these a client may mean something of its own, or cannot say them.
    if arguments.get("mode", 0) < 0 or not 0 <= arguments.get("waitUsec", 0) < 2**53:
        return None
    if name == "SetAttributes" and "leaseUsec" in arguments and "lifetime" not in arguments:
        return None
    if any(not isinstance(text, str) for text in arguments.get("labels", {}).values()):
        return None
    if any(not isinstance(text, str) for text in arguments.get("removeLabels", [])):
        return None
    if "targets" in arguments:
        targets = arguments.pop("targets")
        if not 0 < len(targets) <= 250 or any(list(target) != ["key"] or not isinstance(target["key"], str) for target in targets):
            return None
        arguments["keys"] = [target["key"] for target in targets]
    if "attachment" in arguments:
        handle = arguments.pop("attachment")
        if not isinstance(handle, Handle):
            return None
        arguments["handle"] = int(handle)
    return op, arguments


def used(value, saved):
    """The call with what was saved in its place."""
    if isinstance(value, dict):
        if "$use" in value:
            return saved[value["$use"]]
        return {key: used(each, saved) for key, each in value.items()}
    return [used(each, saved) for each in value] if isinstance(value, list) else value


def match(expected, got, saved, where):
    """Whether an answer matches, by the rules of the vectors' README. Keeps what is to be saved."""
    if isinstance(expected, dict) and "$use" in expected:
        expected = saved[expected["$use"]]
    if isinstance(expected, dict) and "$type" in expected:
        kind = {"int": int, "string": str, "bool": bool, "array": list}[expected["$type"]]
        if not fits(got, kind):
            raise Mismatch(where, expected, got)
        if "$save" in expected:
            saved[expected["$save"]] = got
    elif isinstance(expected, dict):
        if not isinstance(got, dict):
            raise Mismatch(where, expected, got)
        for name, value in expected.items():
            if name in got:
                match(value, got[name], saved, f"{where}/{name}")
            elif value is not None and name not in NOT_TOLD:
                raise Mismatch(f"{where}/{name}", value, "missing")
    elif isinstance(expected, list):
        if not isinstance(got, list) or len(expected) != len(got):
            raise Mismatch(where, expected, got)
        for place, (one, other) in enumerate(zip(expected, got)):
            match(one, other, saved, f"{where}/{place}")
    elif type(expected) is not type(got) or expected != got:
        raise Mismatch(where, expected, got)


class Beside:
    """The suite's own connection, for what a client cannot say."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(path)

    def say(self, call, count):
        """Sends a call and takes so many replies."""
        self._socket.sendall(json.dumps(call).encode() + b"\0")
        received, told = b"", []
        while len(told) < count:
            while b"\0" not in received:
                part, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 253)
                for fd in fds:
                    os.close(fd)
                if not part:
                    raise NotForClients("the daemon closes at this")
                received += part
            text, received = received.split(b"\0", 1)
            told.append(json.loads(text))
        return told

    def close(self):
        self._socket.close()


def names_attachments(value, attachments):
    if isinstance(value, dict):
        return value.get("$use") in attachments or any(names_attachments(each, attachments) for each in value.values())
    return isinstance(value, list) and any(names_attachments(each, attachments) for each in value)


def say(agent, op, arguments, step, saved, handles):
    """Says a step through the client and checks what comes."""
    expected = step["replies"] if "replies" in step else [step["reply"]]
    error = expected[0].get("error")
    try:
        answer = agent.call(op, **arguments)
    except Refused as refused:
        if error == "org.varlink.service.InvalidParameter" and not refused.from_daemon():
            return  # the client has seen it itself
        if refused.name != error:
            raise Mismatch("the error", error, str(refused)) from None
        match({name: value for name, value in expected[0].get("parameters", {}).items() if value is not None},
              refused.parameters, saved, "the error's parameters")
        return
    if error and op == "close":
        return  # in many languages closing what is closed is no error
    if error:
        raise Mismatch("the answer", error, answer)
    parameters = expected[0].get("parameters", {})
    if op == "openMany":
        match_many(parameters["results"], answer["results"], saved, handles)
        return
    if op == "list":
        parameters = {"segments": [reply["parameters"]["segment"] for reply in expected
                                   if reply["parameters"]["segment"] is not None]}
    if "handle" in answer:
        handles.add(answer["handle"])
        attachment = parameters.get("attachment")
        if isinstance(attachment, dict) and "$save" in attachment:
            saved[attachment["$save"]] = Handle(answer["handle"])
    if op == "close":
        handles.discard(arguments["handle"])
    match({name: value for name, value in parameters.items() if name != "attachment"}, answer, saved, "the answer")


def match_many(expected, results, saved, handles):
    if len(expected) != len(results):
        raise Mismatch("the number of results", len(expected), len(results))
    for place, (want, result) in enumerate(zip(expected, results)):
        if want.get("error"):
            got = result.get("error", {})
            if got.get("name") != want["error"]:
                raise Mismatch(f"the error of result {place}", want["error"], got)
        else:
            if "handle" not in result:
                raise Mismatch(f"result {place}", want, result)
            handles.add(result["handle"])
            attachment = want["grant"].get("attachment")
            if isinstance(attachment, dict) and "$save" in attachment:
                saved[attachment["$save"]] = Handle(result["handle"])
            match(want["grant"].get("segment", {}), result["segment"], saved, f"result {place}")


def run(agent, vector, path):
    """Holds the conversation. Raises NotForClients."""
    if vector["endpoint"] != "segments" or any("call" not in step or step.get("close") for step in vector["steps"]):
        raise NotForClients("it is about messages, or for administrators")
    calls = [step["call"] for step in vector["steps"]]
    if any(call.get("method") in OWN for call in calls) or not any(sayable(call) for call in calls):
        raise NotForClients("a client has other words for it, or none")
    saved, handles, attachments = {}, set(), set()
    beside = Beside(path)
    try:
        for number, step in enumerate(vector["steps"]):
            call = used(step["call"], saved)
            what = sayable(call)
            try:
                if what:
                    say(agent, *what, step, saved, handles)
                elif names_attachments(step["call"], attachments):
                    raise NotForClients("it names an attachment in a way that a client does not")
                else:
                    replies = step.get("replies", [step["reply"]] if "reply" in step else [])
                    for want, got in zip(replies, beside.say(call, len(replies))):
                        match(want, got, saved, "the daemon's reply")
                    if not replies:  # what comes next is told of something that has been done
                        beside.say({"method": "org.varlink.service.GetInfo"}, 1)
            except Mismatch as wrong:
                raise Mismatch(f"step {number}, {json.dumps(step['call'])[:200]}: {wrong.what}", wrong.expected,
                               wrong.got) from None
            attachments = {name for name, value in saved.items() if isinstance(value, Handle)}
    finally:
        beside.close()
        for handle in handles:
            agent.call("close", handle=handle)
