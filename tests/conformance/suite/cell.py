"""One cell of the matrix: a scenario with one language that writes and one that reads."""

import json
import time

from .agent import Refused, shorten

SEGMENTS, SERVICE = "io.shmd.Segments.", "org.varlink.service."


class Mismatch(Exception):
    """What was expected and what was got."""

    def __init__(self, what, expected, got):
        super().__init__(what)
        self.what, self.expected, self.got = what, expected, got


class Skipped(Exception):
    """The cell cannot run here, for this reason."""


def full_name(error):
    """The error's whole name, of the last part alone."""
    if "." in error:
        return error
    service = ("PermissionDenied", "InvalidParameter", "MethodNotFound", "InterfaceNotFound")
    return (SERVICE if error in service else SEGMENTS) + error


class Cell:
    """What a scenario works with. agents: a function (role, language, **how) -> Agent; types: where error types are noted."""

    def __init__(self, name, daemon, agents, writer, reader, types, seconds):
        self.name, self.daemon, self._agents, self._types = name, daemon, agents, types
        self.deadline = time.monotonic() + seconds
        self.languages = {"writer": writer, "reader": reader}
        self.prefix = f"{name}/{writer}-{reader}/"
        self._taken = {}
        self._handles, self._watches = [], []

    def __getattr__(self, role):
        # writer and reader are taken when a scenario first uses them.
        if role not in ("writer", "reader"):
            raise AttributeError(role)
        return self.agent(role)

    def agent(self, role, **how):
        """The agent of this role. how: user, to be another user; fresh, to have a process of its own."""
        if role not in self._taken:
            agent = self._taken[role] = self._agents(role, self.languages[role], **how)
            agent.deadline = self.deadline
        return self._taken[role]

    def fresh(self):
        """Both have processes of their own in this cell: for what kills them, or takes away the daemon from them."""
        self.agent("writer", fresh=True)
        self.agent("reader", fresh=True)

    def key(self, name="a"):
        return self.prefix + name

    # Ops.

    def create(self, agent, **arguments):
        """(handle, segment)"""
        answer = self.call(agent, "create", **arguments)
        return answer["handle"], answer["segment"]

    def open(self, agent, **arguments):
        answer = self.call(agent, "open", **arguments)
        return answer["handle"], answer["segment"]

    def call(self, agent, op, **arguments):
        agent.begin(op, **arguments)
        return self.result(agent)

    def result(self, agent):
        """The answer to a begun request. What it opened is closed at the end of the cell."""
        answer = agent.result()
        if "handle" in answer:
            self._handles.append((agent, answer["handle"]))
        for result in answer.get("results", []):
            if "handle" in result:
                self._handles.append((agent, result["handle"]))
        if "watch" in answer:
            self._watches.append((agent, answer["watch"]))
        return answer

    def write(self, agent, handle, offset, content):
        agent.call("write", handle=handle, offset=offset, hex=content.hex())

    def read(self, agent, handle, offset, length):
        return bytes.fromhex(agent.call("read", handle=handle, offset=offset, length=length)["hex"])

    def close(self, agent, handle):
        self._handles.remove((agent, handle))
        agent.call("close", handle=handle)

    def close_all(self, agent):
        for one, handle in [each for each in self._handles if each[0] is agent]:
            self.close(one, handle)

    def gone(self, agent):
        """The agent has been killed: nothing of it is to be closed."""
        self._handles = [each for each in self._handles if each[0] is not agent]
        self._watches = [each for each in self._watches if each[0] is not agent]
        self._taken = {role: one for role, one in self._taken.items() if one is not agent}

    def unwatched(self, agent, watch):
        """The watch needs no more closing."""
        self._watches.remove((agent, watch))

    def done_with(self, agent):
        """Closes what it has open and ends its process."""
        self.close_all(agent)
        self.gone(agent)
        self.equal(f"the exit status of {agent.name}", 0, agent.end())

    # Checks.

    def equal(self, what, expected, got):
        if expected != got:
            raise Mismatch(what, expected, got)

    def true(self, what, condition, got):
        if not condition:
            raise Mismatch(what, "true", got)

    def same_end(self, expected, got):
        """Two expiresUsec of one lease: each reply works out anew what its end comes to on the wall clock."""
        self.true(f"expiresUsec, within a second of {expected}", abs(expected - got) < 1_000_000, got)

    def content(self, agent, handle, offset, expected, when=""):
        got = self.read(agent, handle, offset, len(expected))
        if got != expected:
            at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
            raise Mismatch(f"the bytes that {agent.name} reads{when}, {len(expected)} from {offset} on; "
                           f"the first difference is at {at}", expected[at:at + 16].hex(" "), got[at:at + 16].hex(" "))

    def fields(self, agent, segment, **expected):
        """The description has these values. None stands for null and for missing."""
        for name, value in expected.items():
            if segment.get(name) != value:
                got = json.dumps(segment[name]) if name in segment else "no such field"
                raise Mismatch(f"{name} of the segment, as {agent.name} tells it", json.dumps(value), got)

    def refused(self, agent, error, parameters, op, **arguments):
        """The daemon's error, by name and parameters. parameters None: not looked at."""
        try:
            answer = self.call(agent, op, **arguments)
        except Refused as refused:
            return self.is_error(refused, error, parameters)
        raise Mismatch(f"{agent.name} {self._said(op, arguments)}", full_name(error), f"no error: {shorten(str(answer))}")

    def is_error(self, refused, error, parameters):
        what = f"the error of {refused.agent.name} at {refused.request}"
        self.equal(f"{what}, with type {refused.type}: {refused.message}", full_name(error), refused.name)
        if parameters is not None:
            # A null parameter is a missing one.
            got = {name: value for name, value in refused.parameters.items() if value is not None}
            self.equal(f"the parameters of {what}", parameters, got)
        self._types.setdefault(error.rsplit(".", 1)[-1], {})[refused.agent.language] = refused.type
        return refused

    def refused_here(self, agent, op, **arguments):
        """An error of the client's own, not the daemon's."""
        try:
            answer = self.call(agent, op, **arguments)
        except Refused as refused:
            self.true(f"{agent.name} {self._said(op, arguments)}: an error that is the client's own",
                      not refused.from_daemon(), str(refused))
            return refused
        raise Mismatch(f"{agent.name} {self._said(op, arguments)}", "an error", shorten(str(answer)))

    def refused_somehow(self, agent, op, **arguments):
        """An error, whether the client or the daemon saw it."""
        try:
            answer = self.call(agent, op, **arguments)
        except Refused as refused:
            return refused
        raise Mismatch(f"{agent.name} {self._said(op, arguments)}", "an error", shorten(str(answer)))

    def until(self, what, condition):
        """Asks the daemon until it is so."""
        while not condition():
            if time.monotonic() > self.deadline:
                raise Mismatch(what, "in the end", "not in time")

    def next_event(self, agent, watch, past=("attached", "detached")):
        """(event, segment) of the next one that is none of past."""
        while True:
            answer = agent.call("nextEvent", watch=watch)
            if answer["event"] not in past:
                return answer["event"], answer.get("segment")

    def watch(self, agent, prefix):
        """A watch that has told all that was there: the number and those events."""
        watch = self.call(agent, "watch", prefix=prefix)["watch"]
        present = []
        while True:
            event, segment = self.next_event(agent, watch)
            if event == "ready":
                return watch, present
            present.append((event, segment))

    def clean(self):
        """Closes what the scenario has left open and deletes what it has made."""
        for agent, watch in self._watches:
            agent.call("unwatch", watch=watch)
        for agent in {id(each[0]): each[0] for each in self._handles}.values():
            self.close_all(agent)
        self.delete_made()

    def delete_made(self):
        for segment in self.daemon.segments(self.prefix):
            self.daemon.control("Delete", id=segment["id"])

    @staticmethod
    def _said(op, arguments):
        return shorten(f"{op} {json.dumps(arguments)}")
