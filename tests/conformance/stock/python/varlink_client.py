"""PyPI's varlink: argv is the socket, the control socket, and the prefix of the segments to be found."""

import sys

import varlink
from checks import cannot, got


def main(segments_socket, control_socket, prefix):
    descriptions, methods = {}, {}
    for check, path in (("info", segments_socket), ("control-info", control_socket)):
        with varlink.Client(f"unix:{path}") as client:
            names = client.get_interfaces()
            got(check, client.info)
            for name in names:
                interface = client.get_interface(name)
                descriptions[name] = interface.get_description()
                methods[name] = sorted(member for member, what in interface.members.items()
                                       if type(what).__name__ == "_Method")
    got("descriptions", descriptions)
    got("parsed", methods)

    with varlink.Client(f"unix:{segments_socket}") as client, client.open("io.shmd.Segments") as segments:
        got("list", [reply["segment"]["key"] for reply in segments.List(prefix, _more=True)])
        got("list-empty", [reply.get("segment") for reply in segments.List(f"{prefix}none", _more=True)])
        for check, call in (("error", lambda: segments.Describe(key=f"{prefix}none")),
                            ("service-error", lambda: segments.Detach(0)),
                            ("expected-more", lambda: segments.List(prefix))):
            try:
                got(check, call())
            except varlink.VarlinkError as error:
                got(check, {"name": error.error(), "parameters": error.parameters()})
        opened = segments.Open(key=f"{prefix}a", access="read")
        got("open", {"key": opened["segment"]["key"], "fileDescriptor": opened["fileDescriptor"]})
        cannot("descriptor", "it reads with recv(2), which loses descriptors")


if __name__ == "__main__":
    main(*sys.argv[1:])
