"""The buffer protocol for classes written in Python, in all versions that this package runs on.

From 3.12 on a method __buffer__ is enough. Before, a class needs a slot that only C fills: here a base class is made through
the functions of the stable C API, by ctypes, whose slot calls __buffer__. No compiler is needed for that.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, List

NATIVE = sys.version_info >= (3, 12)

_get_buffer_type = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
_get_buffer = _get_buffer_type(("PyObject_GetBuffer", ctypes.pythonapi))
_release_buffer = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyBuffer_Release", ctypes.pythonapi))


_View = ctypes.c_void_p * 32  # larger than a Py_buffer, which begins with the address


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.POINTER(_Slot))]


_BF_GETBUFFER = 1  # Py_bf_getbuffer
_FLAGS = 1 << 10 | 1 << 18  # Py_TPFLAGS_BASETYPE, Py_TPFLAGS_HAVE_VERSION_TAG: those of Py_TPFLAGS_DEFAULT
_kept: List[Any] = []  # what types point to


def _type_with(name: bytes, base: type, function: Any) -> type:
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(_Spec), ctypes.py_object)(
        ("PyType_FromSpecWithBases", ctypes.pythonapi))
    slots = (_Slot * 2)(_Slot(_BF_GETBUFFER, ctypes.cast(function, ctypes.c_void_p)), _Slot(0, None))
    spec = _Spec(name, 0, 0, _FLAGS, slots)
    _kept.append((slots, spec, function))
    made: type = make(ctypes.byref(spec), (base,))
    return made


def _export(exporter: Any, view: int, flags: int) -> int:
    try:
        result: int = _get_buffer(exporter.__buffer__(flags), view, flags)
        return result
    except BaseException:  # what is raised here cannot be passed on; consumers that ask for more than is there know that
        return -1


def closed_type(base: type) -> type:
    """What an exporter becomes when it is closed, before 3.12: its slot asks for len(), which raises."""
    return _type_with(f"{base.__module__}.{base.__qualname__}".encode(), base, ctypes.pythonapi.PyObject_Size)


def address_of(buffer: Any) -> int:
    """Where its memory is, read-only or not. The caller keeps it alive."""
    view = _View()
    place = ctypes.addressof(view)
    _get_buffer(buffer, place, 0)
    address = view[0]
    _release_buffer(place)
    return address or 0


Exporter: Any = object if NATIVE else _type_with(b"shmd._buffer.Exporter", object, _get_buffer_type(_export))
