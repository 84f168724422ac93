"""numpy, pyarrow and torch over segments, without a copy."""

import gc

import pytest

import shmd

numpy = pytest.importorskip("numpy", reason="numpy is not installed")


def address(array):
    return array.__array_interface__["data"][0]


def test_numpy_sees_the_memory(client):
    with client.create("a", 80) as segment, client.open("a") as view:
        written, read = numpy.frombuffer(segment, dtype="f8"), numpy.frombuffer(view, dtype="f8")
        written[:] = numpy.arange(10)
        assert (read == written).all() and address(read) != address(written)
        assert written.flags.writeable and not read.flags.writeable
        assert address(numpy.frombuffer(segment, dtype="u1")) == address(written)
        with pytest.raises(ValueError):
            read[0] = 1
        with pytest.raises(ValueError):
            read.flags.writeable = True
        assert numpy.asarray(segment).shape == (80,)
        del written, read


def test_dtype_and_shape_travel_with_the_segment(client):
    with client.create("a", 10_000) as segment:
        array = segment.ndarray("<f4", (10, 20))
        assert array.shape == (10, 20) and array.dtype == numpy.float32 and array.flags.writeable and array.flags.c_contiguous
        array[:] = numpy.arange(200).reshape(10, 20)
        assert segment.labels == {"dtype": "<f4", "shape": "10,20"}
        with client.open("a") as view:
            other = view.ndarray()
            assert (other == array).all() and other.dtype == array.dtype and not other.flags.writeable
            with pytest.raises(ValueError):
                other[0, 0] = 1
            array[3, 4] = -1
            assert other[3, 4] == -1
            assert view.ndarray("u1", 3).shape == (3,)
            assert view.labels["dtype"] == "<f4", "who may not write keeps nothing"
            del other
        del array


def test_a_reader_that_came_first_learns_of_the_array(client):
    with client.create("a", 100) as segment, client.open("a") as view:
        with pytest.raises(ValueError, match="nobody has kept an array"):
            view.ndarray()
        segment.ndarray("i2", 5)[:] = 7
        assert view.ndarray().tolist() == [7] * 5


@pytest.mark.parametrize(("dtype", "shape"), [
    ("?", ()), ("i8", (0,)), ("c16", (2, 3)), ("S7", (3,)), ("U3", (2,)), ("M8[us]", (4,)), (">u2", (5,)),
    ([("x", "<f8"), ("tags", "u1", (3,))], (4,)),
])
def test_any_dtype(client, dtype, shape):
    with client.create("a", 1000) as segment, client.open("a") as view:
        written = segment.ndarray(dtype, shape)
        read = view.ndarray()
        assert (read.dtype, read.shape) == (numpy.dtype(dtype), shape) == (written.dtype, written.shape)
        del written, read


def test_arrays_that_cannot_be(client):
    with client.create("a", 100) as segment:
        assert segment.ndarray("f8").shape == (12,)
        with pytest.raises(ValueError, match="the segment 100"):
            segment.ndarray("f8", (13,))
        with pytest.raises(ValueError):
            segment.ndarray("f8", (2**62, 2**62))
        with pytest.raises(ValueError):
            segment.ndarray("f8", (-1,))
        with pytest.raises(ValueError, match="objects"):
            segment.ndarray(object, 1)
        with pytest.raises(TypeError):
            segment.ndarray(shape=(1,))
        for dtype, shape in (("nonsense", "1"), ("<f4", "x"), ("<f4", "-1"), ("<f4", "1000"), ("[('a', '<f4'", "1"),
                             ("|O", "1"), ("__import__('os')", "1")):
            segment.set_attributes(labels={"dtype": dtype, "shape": shape})
            with pytest.raises(ValueError):
                segment.ndarray()


def test_arrays_outlive_the_segment(client):
    segment = client.create("a", 80)
    array = segment.ndarray("f8")
    array[:] = 3
    segment.close()
    assert array.sum() == 30
    assert client.describe("a").attachments == 1
    part = array[2:4]
    del array
    assert part.sum() == 6
    del part
    gc.collect()
    assert client.describe("a").attachments == 0


@pytest.mark.parametrize("kept", ["view", "nothing"])
def test_an_array_that_numpy_makes_without_telling_us_is_never_left_without_memory(client, kept):
    """numpy.ndarray(buffer=...) gives the buffer back at once, and keeps the address and the segment."""
    segment = client.create("a", 80)
    array = numpy.ndarray((10,), "f8", segment)
    array[:] = 3
    view = memoryview(segment) if kept == "view" else None
    segment.close()
    assert array.sum() == (30 if view else 0)
    array[:] = 4
    del view
    gc.collect()
    assert array.sum() == 40
    with pytest.raises(ValueError):
        memoryview(segment)
    with client.open("a") as other:
        assert numpy.frombuffer(other)[0] == (4 if kept == "view" else 3)
    del segment
    gc.collect()
    assert array.sum() == 40
    del array
    gc.collect()
    assert client.describe("a").attachments == 0


def test_such_an_array_shows_what_was_sealed(client):
    with client.create("a", 80) as segment:
        array = numpy.ndarray((10,), "f8", segment)
        array[:] = 3
        segment.seal()
        assert array.sum() == 30
        array[0] = 4
        assert segment.ndarray("f8")[0] == 3


def test_arrays_over_buf_keep_the_memory_too(client):
    block = shmd.SharedMemory(create=True, size=80)
    array = numpy.ndarray((10,), "f8", buffer=block.buf)
    array[:] = 3
    block.close()
    assert array.sum() == 30
    name = block.name
    assert client.describe(name).attachments == 1
    del array
    gc.collect()
    assert client.describe(name).attachments == 0


def test_an_array_is_sealed_and_published(client):
    with client.create("table", 80, staged=True) as segment:
        segment.ndarray("i8")[:] = range(10)
        segment.seal()
        segment.publish()
        assert not segment.ndarray().flags.writeable
    with client.open("table", sealed=True) as view:
        assert view.ndarray().tolist() == list(range(10))


def test_pyarrow_sees_the_memory(client):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    with client.create("a", 80) as segment, client.open("a") as view:
        written, read = pyarrow.py_buffer(segment), pyarrow.py_buffer(view)
        assert written.is_mutable and not read.is_mutable and written.size == 80
        segment[0] = 9
        assert read[0] == 9 and read.address == address(numpy.frombuffer(view, "u1"))
        column = pyarrow.Array.from_buffers(pyarrow.int64(), 10, [None, read])
        assert column[0].as_py() == 9
        del written, read, column


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_torch_sees_the_memory(client):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with client.create("a", 40) as segment, client.open("a") as view:
        written, read = torch.frombuffer(segment, dtype=torch.float32), torch.frombuffer(view, dtype=torch.float32)
        written[:] = 2
        assert read.sum() == 20
        del written, read
