"""numpy arrays over segments. dtype and shape travel in two labels: "dtype" is what numpy writes into .npy files, "shape" the
lengths with commas between them."""

from __future__ import annotations

import ast
import contextlib
import operator
from typing import TYPE_CHECKING, Any, Sequence, SupportsIndex, Tuple, Union

from ._errors import Inherited, PermissionDenied

if TYPE_CHECKING:
    import numpy

    from ._segment import Segment


def array_of(segment: "Segment", dtype: Any, shape: Union[int, Sequence[int], None]) -> "numpy.ndarray[Any, Any]":
    import numpy

    if dtype is None:
        if shape is not None:
            raise TypeError("a shape needs a dtype")
        kind, lengths = _from_labels(segment)
    else:
        kind = numpy.dtype(dtype)
        lengths = _lengths(segment, kind, shape)
    if kind.hasobject:
        raise ValueError(f"{kind} holds Python objects, which mean nothing to other processes")
    count = 1
    for length in lengths:
        count *= length
    if count * kind.itemsize > segment.size:
        raise ValueError(f"an array of {kind} with the shape {lengths} has {count * kind.itemsize} bytes, the segment "
                         f"{segment.size}")
    if dtype is not None and not segment.readonly:
        _keep(segment, kind, lengths)
    return numpy.ndarray(lengths, kind, segment._view())


def _lengths(segment: "Segment", kind: Any, shape: Union[int, Sequence[int], None]) -> Tuple[int, ...]:
    if shape is None:
        return (segment.size // kind.itemsize if kind.itemsize else 0,)
    given = (shape,) if isinstance(shape, SupportsIndex) else shape
    lengths = tuple(operator.index(length) for length in given)
    if any(length < 0 for length in lengths):
        raise ValueError(f"a length is negative: {lengths}")
    return lengths


def _from_labels(segment: "Segment") -> Tuple[Any, Tuple[int, ...]]:
    import numpy

    if "dtype" not in segment.labels or "shape" not in segment.labels:
        segment.remap()  # they may have come since it was opened
    try:
        text = segment.labels["dtype"]
        descr: Any = ast.literal_eval(text) if text[:1] in ("[", "(") else text
        npy: Any = numpy.lib.format  # partly untyped in older versions
        kind = npy.descr_to_dtype(descr)
        text = segment.labels["shape"]
        lengths = tuple(int(each) for each in text.split(",")) if text else ()
        if any(length < 0 for length in lengths):
            raise ValueError(text)
    except KeyError:
        raise ValueError("the segment has no labels \"dtype\" and \"shape\": nobody has kept an array in it") from None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"the segment's labels \"dtype\" and \"shape\" describe no array: {error}") from None
    return kind, lengths


def _keep(segment: "Segment", kind: Any, lengths: Tuple[int, ...]) -> None:
    import numpy

    npy: Any = numpy.lib.format
    descr = npy.dtype_to_descr(kind)
    labels = {"dtype": descr if isinstance(descr, str) else repr(descr), "shape": ",".join(map(str, lengths))}
    if all(segment.labels.get(name) == value for name, value in labels.items()):
        return
    # Only the owner may, and no child of the process that opened it; the array is as good.
    with contextlib.suppress(PermissionDenied, Inherited):
        segment.set_attributes(labels=labels)
