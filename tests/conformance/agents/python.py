#!/usr/bin/env python3
"""The conformance agent of Python: the package shmd, driven by a JSON object a line. README.md has the contract."""

import json
import struct
import sys

import shmd

OPS = {}


def op(function):
    """An operation by the name of its function."""
    head, *others = function.__name__.split("_")
    OPS[head + "".join(each.capitalize() for each in others)] = function
    return function


class Agent:
    def __init__(self):
        self._client = None
        self.segments, self.watches = {}, {}

    @property
    def client(self):
        if self._client is None:
            self._client = shmd.Client()
        return self._client

    @staticmethod
    def keep(things, one):
        number = next(each for each in range(1, len(things) + 2) if each not in things)
        things[number] = one
        return number

    def opened(self, segment):
        return {"handle": self.keep(self.segments, segment), "segment": segment.info.to_dict(), "created": segment.created}

    def segment(self, request):
        try:
            return self.segments[request["handle"]]
        except KeyError:
            raise shmd.Closed("no open segment has this handle") from None

    def watch(self, request):
        try:
            return self.watches[request["watch"]]
        except KeyError:
            raise shmd.Closed("no such watch") from None


def given(request, **names):
    """Arguments by the client's names, as far as the request has them."""
    return {name: request[field] for name, field in names.items() if field in request}


def target(request):
    return given(request, key="key", id="id")


def lifetime(request):
    options = given(request, lifetime="lifetime")
    if "leaseUsec" in request:
        options["lease"] = request["leaseUsec"] / 1e6
    return options


def failure(error):
    name = getattr(error, "name", "") or type(error).__name__
    return {"name": name, "parameters": getattr(error, "parameters", {}), "class": f"shmd.{type(error).__name__}"
            if isinstance(error, shmd.Error) else type(error).__name__, "message": str(error)}


def info(described):
    return {"segment": described.to_dict()}


@op
def create(agent, request):
    options = given(request, mode="mode", create_mode="createMode", access="access", reserve="reserve", staged="staged",
                    evictable="evictable", sealable="sealable", labels="labels", capacity="capacityBytes")
    return agent.opened(agent.client.create(request.get("key"), request["sizeBytes"], **options, **lifetime(request)))


@op
def open(agent, request):
    options = given(request, access="access", sealed="sealed")
    if "waitUsec" in request:
        options["wait"] = request["waitUsec"] / 1e6
    return agent.opened(agent.client.open(**target(request), **options))


@op
def open_many(agent, request):
    results = agent.client.open_many(request["keys"], request.get("access", "read"))
    return {"results": [{"error": failure(each)} if isinstance(each, shmd.Error) else agent.opened(each)
                        for each in results]}


@op
def write(agent, request):
    data, offset = bytes.fromhex(request["hex"]), request["offset"]
    agent.segment(request)[offset:offset + len(data)] = data
    return {}


@op
def read(agent, request):
    # A slice would end at the segment's end without a word.
    (data,) = struct.unpack_from(f"{request['length']}s", agent.segment(request), request["offset"])
    return {"hex": data.hex()}


@op
def describe(agent, request):
    return info(agent.client.describe(**target(request)))


@op
def list(agent, request):
    return {"segments": [each.to_dict() for each in agent.client.list(request.get("prefix"))]}


@op
def publish(agent, request):
    return info(agent.segment(request).publish(**given(request, key="key", replace="replace")))


@op
def seal(agent, request):
    return info(agent.segment(request).seal())


@op
def resize(agent, request):
    return info(agent.segment(request).resize(request["sizeBytes"]))


@op
def remap(agent, request):
    return info(agent.segment(request).remap())


@op
def set_attributes(agent, request):
    changes = given(request, mode="mode", evictable="evictable", labels="labels", remove_labels="removeLabels")
    return info(agent.client.set_attributes(**target(request), **changes, **lifetime(request)))


@op
def renew(agent, request):
    return info(agent.client.renew(**target(request)))


@op
def delete(agent, request):
    agent.client.delete(**target(request))
    return {}


@op
def close(agent, request):
    agent.segment(request).close()
    del agent.segments[request["handle"]]
    return {}


@op
def watch(agent, request):
    return {"watch": agent.keep(agent.watches, agent.client.watch(request.get("prefix")))}


@op
def next_event(agent, request):
    event = agent.watch(request).next()
    return {"event": event.kind, **(info(event.segment) if event.segment else {})}


@op
def unwatch(agent, request):
    agent.watch(request).close()
    del agent.watches[request["watch"]]
    return {}


@op
def capabilities(agent, request):
    return {"language": "Python", "version": shmd.__version__, "missing": []}


def answer(agent, line):
    request = json.loads(line)
    operation = OPS.get(request.pop("op", None))
    if operation is None:
        return {"error": {"name": "NoSuchOperation", "parameters": {}, "class": "", "message": line}}
    try:
        return {"ok": operation(agent, request)}
    except Exception as error:
        return {"error": failure(error)}


def main():
    agent = Agent()
    for line in sys.stdin:
        print(json.dumps(answer(agent, line)), flush=True)


if __name__ == "__main__":
    main()
