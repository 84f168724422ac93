"""Names and descriptions: keys, labels, what is told of a segment."""

from ..cell import Cell
from . import scenario

ALL_CHARACTERS = "aZ09._:/@+=-"


@scenario
def keys(cell: Cell):
    """Keys of every character and length, a key that shmd makes up, and ids."""
    longest = cell.key() + "x" * (255 - len(cell.key()))
    for key in (cell.key(ALL_CHARACTERS), longest):
        writer, segment = cell.create(cell.writer, key=key, sizeBytes=10)
        cell.fields(cell.writer, segment, key=key)
        cell.write(cell.writer, writer, 0, key.encode()[:10])
        reader, segment = cell.open(cell.reader, key=key, access="read")
        cell.fields(cell.reader, segment, key=key)
        cell.content(cell.reader, reader, 0, key.encode()[:10])
    writer, segment = cell.create(cell.writer, sizeBytes=10)
    made_up = segment["key"]
    cell.true("a key is made up", isinstance(made_up, str) and len(made_up) > 15, made_up)
    cell.write(cell.writer, writer, 0, b"made up")
    reader, opened = cell.open(cell.reader, key=made_up, access="read")
    cell.content(cell.reader, reader, 0, b"made up")
    by_id, opened = cell.open(cell.reader, id=segment["id"], access="read")
    cell.fields(cell.reader, opened, id=segment["id"], key=made_up)
    cell.content(cell.reader, by_id, 0, b"made up")
    cell.fields(cell.reader, cell.reader.call("describe", id=segment["id"])["segment"], key=made_up)
    cell.reader.call("delete", id=segment["id"])
    cell.refused(cell.writer, "NoSuchSegment", {"key": made_up}, "describe", key=made_up)


@scenario
def integer_keys(cell: Cell):
    """An integer is the System V key of that number, in every language and as text."""
    for number, text in ((0xFF3, "sysv:0x00000ff3"), (-1, "sysv:0xffffffff"), (-2**31, "sysv:0x80000000"),
                         (2**31 - 1, "sysv:0x7fffffff")):
        writer, segment = cell.create(cell.writer, key=number, sizeBytes=8)
        try:
            cell.fields(cell.writer, segment, key=text)
            cell.write(cell.writer, writer, 0, b"sysv")
            for key in (number, text):
                reader, segment = cell.open(cell.reader, key=key, access="read")
                cell.fields(cell.reader, segment, key=text)
                cell.content(cell.reader, reader, 0, b"sysv")
            cell.fields(cell.reader, cell.reader.call("describe", key=number)["segment"], key=text)
            results = cell.call(cell.reader, "openMany", keys=[text, number], access="read")["results"]
            cell.equal("what openMany found by integer and text", [text, text],
                       [result.get("segment", {}).get("key") for result in results])
            cell.reader.call("delete", key=number)
        finally:
            for segment in cell.daemon.segments(text):
                cell.daemon.control("Delete", id=segment["id"])
        cell.refused(cell.reader, "NoSuchSegment", {"key": text}, "open", key=number, access="read")


@scenario
def labels(cell: Cell):
    """Labels of any text, up to their limits, travel unchanged; they are added, changed and taken away."""
    key = cell.key()
    given = {"codec": "h264", "größe": "", "a b": "c\nd\t\"\\/", "日本": "\U0001f600 \u00e9\u0301", "ctl": "\u0001\u007f",
             "long": "v" * 1024, "n" * 63: "longest name"}
    _, segment = cell.create(cell.writer, key=key, sizeBytes=1, labels=given)
    cell.fields(cell.writer, segment, labels=given)
    cell.fields(cell.reader, cell.reader.call("describe", key=key)["segment"], labels=given)
    _, segment = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, segment, labels=given)
    changed = {**given, "codec": "av1", "new": "1"}
    del changed["größe"], changed["long"]
    segment = cell.reader.call("setAttributes", key=key, labels={"codec": "av1", "new": "1"},
                               removeLabels=["größe", "long", "not there"])["segment"]
    cell.fields(cell.reader, segment, labels=changed)
    (segment,) = cell.writer.call("list", prefix=cell.prefix)["segments"]
    cell.fields(cell.writer, segment, labels=changed)
    many = {f"label-{i}": str(i) for i in range(32)}
    cell.create(cell.writer, key=cell.key("many"), sizeBytes=1, labels=many)
    cell.fields(cell.reader, cell.reader.call("describe", key=cell.key("many"))["segment"], labels=many)
    for wrong in ({**many, "one-more": ""}, {"n" * 64: ""}, {"long": "v" * 1025}, {"": "no name"}):
        cell.refused(cell.writer, "InvalidParameter", {"parameter": "labels"}, "create", key=cell.key("wrong"), sizeBytes=1,
                     labels=wrong)


@scenario
def description(cell: Cell):
    """All fields that a client tells have the daemon's own values; listing keeps the order of creation."""
    first, second = cell.key("1"), cell.key("2")
    asked = {
        first: {"sizeBytes": 4097, "mode": 0o640, "lifetime": "lease", "leaseUsec": 3_600_000_000, "evictable": True,
                "labels": {"a": "b"}, "capacityBytes": 8192},
        second: {"sizeBytes": 1, "mode": 0, "evictable": False, "lifetime": "persistent", "labels": {}, "capacityBytes": 1},
    }
    cell.create(cell.writer, key=first, reserve="populate", **asked[first])
    cell.create(cell.writer, key=second, sizeBytes=1, mode=0, createMode="any", reserve="lazy")
    listed = cell.reader.call("list", prefix=cell.prefix)["segments"]
    cell.equal("the keys in the list", [first, second], [segment.get("key") for segment in listed])
    cell.equal("a list of nothing", [], cell.reader.call("list", prefix=cell.key("none"))["segments"])
    needed = ("id", "key", "sizeBytes", "mode", "ownerUid", "state", "sealed", "attachments", "labels", "lifetime",
              "capacityBytes")
    for key, in_list in zip((first, second), listed):
        true = cell.daemon.describe(key=key)
        cell.fields(cell.writer, true, creatorPid=cell.writer.pid, **asked[key])
        described = cell.reader.call("describe", key=key)["segment"]
        for told in (described, in_list):
            for name in needed:
                cell.true(f"{name} is told by {cell.reader.name}", name in told, sorted(told))
            unknown = sorted(set(told) - set(true))
            cell.equal(f"fields that {cell.reader.name} tells and the interface does not have", [], unknown)
            if told.get("expiresUsec") is not None:
                cell.same_end(true["expiresUsec"], told["expiresUsec"])
                told["expiresUsec"] = true["expiresUsec"]
            cell.fields(cell.reader, told, **{name: value for name, value in true.items() if name in told})


@scenario
def create_any(cell: Cell):
    """createMode "any" opens what is there and makes what is not."""
    key = cell.key()
    answer = cell.call(cell.writer, "create", key=key, sizeBytes=100, createMode="any")
    cell.equal("created, the first time", True, answer["created"])
    cell.write(cell.writer, answer["handle"], 0, b"first")
    found = cell.call(cell.reader, "create", key=key, sizeBytes=50, createMode="any", access="read")
    cell.equal("created, the second time", False, found["created"])
    cell.fields(cell.reader, found["segment"], id=answer["segment"]["id"], sizeBytes=100)
    cell.content(cell.reader, found["handle"], 0, b"first")
    cell.refused_here(cell.reader, "write", handle=found["handle"], offset=0, hex="00")


@scenario
def long_lists(cell: Cell):
    """Lists and watches of many segments with long labels, whose messages no read takes in one piece."""
    made = []
    for number in range(60):
        labels = {f"{number}-{i}": chr(0x100 + number) * 500 for i in range(4)}
        handle, segment = cell.create(cell.writer, key=cell.key(f"{number:02}"), sizeBytes=1 + number, labels=labels)
        cell.close(cell.writer, handle)
        made.append((segment["id"], segment["key"], 1 + number, labels))

    def told(segments):
        return [(each["id"], each["key"], each["sizeBytes"], each["labels"]) for each in segments]

    cell.equal("the list", made, told(cell.reader.call("list", prefix=cell.prefix)["segments"]))
    watch, present = cell.watch(cell.reader, cell.prefix)
    cell.equal("what a watch tells first", made, told(segment for _, segment in present))
    cell.reader.call("unwatch", watch=watch)
    cell.unwatched(cell.reader, watch)
    some = made[:20]  # of as many, the descriptions fit into one message
    results = cell.call(cell.reader, "openMany", keys=[key for _, key, _, _ in some], access="read")["results"]
    cell.equal("what is opened at once", some, told(result["segment"] for result in results))
