"""What is read and written in a short way is what the long way makes of it."""

import copy
import dataclasses
import json
import pickle

import pytest

import shmd
from conftest import ROOT
from shmd import _decode, _wire

SEGMENT = json.loads((ROOT / "protocol" / "vectors" / "client" / "grant.json").read_text())["reply"]["parameters"]["segment"]
VALUES = [None, True, False, 0, 1, -1, 0o777, 0o1000, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**64, 1.0, "", "a",
          "live", "lease", "none", [], [1], [-1], {}, {"a": "b"}, {"a": 1}, [{"uid": 1, "access": "read"}], [{"uid": 1}]]


def by_the_readers(value):
    return shmd.SegmentInfo(**{name: read(value.get(wire), wire) for name, wire, read in _decode._FIELDS})


def outcome(read, value):
    try:
        return read(value)
    except _decode.Nonsense:
        return None


@pytest.mark.parametrize("field", SEGMENT)
def test_each_field_of_a_segment_is_what_its_reader_says(field):
    for value in VALUES:
        changed = {**SEGMENT, field: value}
        expected = outcome(by_the_readers, changed)
        found = outcome(_decode.segment, changed)
        assert found == expected, value
        assert found is None or all(type(one) is type(other) for one, other in zip(
            vars(found).values(), vars(expected).values())), value
    without = {name: value for name, value in SEGMENT.items() if name != field}
    assert outcome(_decode.segment, without) == outcome(by_the_readers, without)


def test_the_short_way_is_taken_and_gives_a_whole_object():
    info = _decode._usual_segment(SEGMENT)
    long = by_the_readers(SEGMENT)
    assert info == long and repr(info) == repr(long) and info.to_dict() == SEGMENT
    assert pickle.loads(pickle.dumps(info)) == copy.copy(info) == copy.deepcopy(info) == info
    assert dataclasses.replace(info, size_bytes=1) == dataclasses.replace(long, size_bytes=1) != info
    assert dataclasses.astuple(info) == dataclasses.astuple(long)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.id = 1
    with pytest.raises(TypeError):
        hash(info)  # its labels are a dict
    assert hash(dataclasses.replace(info, labels=None)) == hash(dataclasses.replace(long, labels=None))


@pytest.mark.parametrize("value", [None, 1, "a", [], [SEGMENT], {}])
def test_what_is_no_segment(value):
    with pytest.raises(_decode.Nonsense):
        _decode.segment(value)


@pytest.mark.parametrize("text", ["", " ", "{", "{}x", "x{}", "[]", "1", '{}\n{}', "\ufeff{}"])
def test_what_is_no_message(text):
    with pytest.raises(_decode.Nonsense):
        _decode.message(text.encode())


def test_white_space_around_a_message():
    assert _decode.message(b' {"parameters": {"a": 1}}\r\n') == ({"a": 1}, None, False)


@pytest.mark.parametrize("parameters", [
    {}, {"a": None}, {"key": 'é"\\\x1f\n\U0001f600', 'b"': 2**70}, {"a": True, "b": 1.5, "c": [None, {"d": "e"}], "f": -1},
    {1: 2}, {"a": shmd.Client.__name__, None: 1},
])
def test_a_call_is_what_the_encoder_makes_of_it(parameters):
    plain = {name: value for name, value in parameters.items() if value is not None}
    for flags in ({}, {"oneway": True}):
        data = _wire.encode_call("io.é.A", parameters, **flags)
        text = json.dumps({"method": "io.é.A", "parameters": plain, **flags}, ensure_ascii=False, separators=(",", ":"))
        assert data == text.encode() + b"\0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_cannot_be_said(value):
    with pytest.raises(ValueError):
        _wire.encode_call("a", {"b": value})


def test_the_end_of_a_grant_is_a_call_without_a_reply():
    call = _wire.encode_call("io.shmd.Segments.Detach", {"attachment": 2**32 - 1}, oneway=True)
    assert _wire.encode_detach(2**32 - 1) == call
