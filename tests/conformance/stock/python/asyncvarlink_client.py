"""PyPI's asyncvarlink, which takes descriptors: argv as for varlink_client.py. Its interfaces are classes, not parsed."""

import asyncio
import collections.abc
import enum
import mmap
import sys
import typing

from asyncvarlink import (FileDescriptor, GenericVarlinkErrorReply, TypedVarlinkErrorReply, VarlinkClientProtocol,
                          VarlinkErrorReply, VarlinkInterface, connect_unix_varlink, varlinkmethod)
from asyncvarlink.serviceinterface import VarlinkServiceInterface
from checks import cannot, got


class Access(enum.Enum):
    read = "read"
    write = "write"


class Segment(typing.TypedDict):
    """The fields that this program reads, and what the others are."""

    id: int
    key: str | None
    sizeBytes: int
    mode: int
    ownerUid: int
    ownerGid: int
    creatorUid: int
    creatorGid: int
    creatorPid: int
    state: str
    sealed: bool
    attachments: int
    createdUsec: int
    attachedUsec: int | None
    detachedUsec: int | None
    changedUsec: int
    expiresUsec: int | None
    evictable: bool
    labels: dict[str, str]
    lifetime: str
    leaseUsec: int | None
    acl: list[dict[str, str]] | None
    capacityBytes: int
    hugePages: str
    numaNodes: list[int] | None


class Opened(typing.TypedDict):
    segment: Segment
    attachment: int
    fileDescriptor: FileDescriptor


class NoSuchSegment(TypedVarlinkErrorReply, interface="io.shmd.Segments"):
    class Parameters:
        key: str | None
        id: int | None


class Segments(VarlinkInterface, name="io.shmd.Segments"):
    errors = (NoSuchSegment,)

    @varlinkmethod(return_parameter="segment")
    def List(self, *, prefix: str | None = None) -> collections.abc.Iterator[Segment | None]: ...

    @varlinkmethod(return_parameter="segment")
    def Describe(self, *, key: str | None = None, id: int | None = None) -> Segment: ...

    @varlinkmethod
    def Open(self, *, access: Access, key: str | None = None) -> Opened: ...

    @varlinkmethod
    def Detach(self, *, attachment: int) -> None: ...


class ListOnce(VarlinkInterface, name="io.shmd.Segments"):
    """List as a method that answers once, which it is not."""

    @varlinkmethod(return_parameter="segment")
    def List(self, *, prefix: str | None = None) -> Segment | None: ...


async def refusal(call):
    try:
        return repr(await call)
    except TypedVarlinkErrorReply as error:
        return {"name": error.name, "parameters": {k: v for k, v in error.parameters.items() if v is not None}}
    except GenericVarlinkErrorReply as error:
        return {"name": error.name, "parameters": error.parameters}
    except VarlinkErrorReply as error:
        return {"name": error.name, "parameters": error.paramstojson()}


async def main(segments_socket, control_socket, prefix):
    descriptions = {}
    for check, path in (("info", segments_socket), ("control-info", control_socket)):
        transport, protocol = await connect_unix_varlink(VarlinkClientProtocol, path)
        service = protocol.make_proxy(VarlinkServiceInterface)
        info = await service.GetInfo()
        got(check, info)
        for name in info["interfaces"]:
            descriptions[name] = (await service.GetInterfaceDescription(interface=name))["description"]
        transport.close()
    got("descriptions", descriptions)
    cannot("parsed", "it has no parser of interface descriptions")

    transport, protocol = await connect_unix_varlink(VarlinkClientProtocol, segments_socket)
    segments = protocol.make_proxy(Segments)
    got("list", [reply["segment"]["key"] async for reply in segments.List(prefix=prefix)])
    got("list-empty", [reply.get("segment") async for reply in segments.List(prefix=f"{prefix}none")])
    got("error", await refusal(segments.Describe(key=f"{prefix}none")))
    got("service-error", await refusal(segments.Detach(attachment=0)))
    got("expected-more", await refusal(protocol.make_proxy(ListOnce).List(prefix=prefix)))
    with await segments.Open(key=f"{prefix}a", access=Access.read) as opened:
        got("open", {"key": opened["segment"]["key"], "fileDescriptor": 0})
        size = opened["segment"]["sizeBytes"]
        with mmap.mmap(opened["fileDescriptor"].fileno(), size, prot=mmap.PROT_READ) as memory:
            got("descriptor", memory[:].hex())
    transport.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
