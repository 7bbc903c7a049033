"""The keys of NumPy arrays and scalars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefect_etl.core.fingerprint import FingerprintError, fingerprint
from prefect_etl.core.fingerprint.encoding import WINDOW

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

KINDS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
)
KINDS = KINDS | hnp.array_dtypes(KINDS, max_size=2)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
ARRAYS = KINDS.flatmap(lambda kind: hnp.arrays(kind, SHAPES))


@LAW
@given(ARRAYS)
def test_layout_does_not_matter(array):
    key = fingerprint(array)
    assert fingerprint(array.astype(array.dtype.newbyteorder())) == key
    if array.ndim:
        assert fingerprint(np.asfortranarray(array)) == key
        wide = np.repeat(array, 2, axis=0)
        assert fingerprint(wide[::2]) == key
        assert fingerprint(array[::-1].copy()[::-1]) == key


@LAW
@given(ARRAYS, st.data())
def test_other_types_shapes_and_values_give_other_keys(array, data):
    kinds = st.just(array.dtype) | KINDS
    other = data.draw(kinds.flatmap(lambda kind: hnp.arrays(kind, st.just(array.shape) | SHAPES)))
    same = (
        array.dtype.newbyteorder("<") == other.dtype.newbyteorder("<")
        and array.shape == other.shape
        and repr(array.tolist()) == repr(other.tolist())
    )
    if array.dtype.kind in "mM" and array.dtype == other.dtype:  # lists lose nanoseconds
        same = array.shape == other.shape and array.view("i8").tolist() == other.view("i8").tolist()
    assert (fingerprint(array) == fingerprint(other)) == same


@pytest.mark.parametrize("order", ["C", "F"])
def test_windows_do_not_matter(order):
    rows = 2 * WINDOW + 3
    array = np.arange(rows * 3, dtype="f8").reshape(rows, 3)
    key = fingerprint(array)
    assert fingerprint(np.array(array, order=order)) == key
    assert fingerprint(np.repeat(array, 2, axis=1)[:, ::2]) == key
    changed = np.array(array, order=order)
    changed[-1, -1] = 0
    assert fingerprint(changed) != key
    assert fingerprint(array[:, 0]) == fingerprint(array[:, 0].copy())


def test_kinds_of_array_differ():
    one = np.array([1, 2])
    values = [
        one,
        one.reshape(1, 2),
        one.reshape(2, 1),
        np.array([[1, 2]]).view(np.recarray),
        np.array([[1, 2]], dtype=object),
        np.ma.array(one),
        np.ma.array(one, mask=[False, True]),
        np.ma.array(one, mask=[False, True], fill_value=7),
        np.rec.array([(1, 2)]),
        np.array(["1", "2"]),
        np.array(["1", "2"], dtype="U2"),
        np.array(["1", "2"], dtype=np.dtypes.StringDType()),
        np.array(1),
        np.array([1]),
        np.int64(1),
        np.int32(1),
        np.bool(True),
        np.float64(1),
        np.float64(np.nan),
        np.datetime64("2024-01-01"),
        np.datetime64("2024-01-01", "s"),
        np.datetime64("NaT"),
        np.str_("1"),
        np.str_(""),
        np.bytes_(b"1"),
        np.dtype("i8"),
        np.dtype("i4"),
        np.int64,
        np.sum,
        np.add,
        1,
        1.0,
        [1, 2],
    ]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_what_is_masked_does_not_matter():
    arrays = [np.ma.array([1, hidden], mask=[False, True]) for hidden in (2, 3)]
    assert fingerprint(arrays[0]) == fingerprint(arrays[1])


def test_signalling_nans_are_nan_without_a_warning():
    for kind, bits in (("f2", 0x7C01), ("f4", 0x7F800001), ("f8", 0x7FF0000000000001)):
        array = np.array([bits], kind.replace("f", "u")).view(kind)
        assert fingerprint(array) == fingerprint(np.array([np.nan], kind))
        pair = array.repeat(2).view(f"c{2 * int(kind[1])}") if kind != "f2" else None
        if pair is not None:
            assert fingerprint(pair) == fingerprint(np.array([complex(np.nan, np.nan)], pair.dtype))


def test_a_file_in_memory_is_keyed_as_an_array(tmp_path):
    array = np.arange(10)
    np.save(tmp_path / "a.npy", array)
    assert fingerprint(np.load(tmp_path / "a.npy", mmap_mode="r")) == fingerprint(array)


class Quantity(np.ndarray):
    pass


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(1, np.longdouble),
        np.zeros(1).view(Quantity),
        np.random.default_rng(0),
        np.array([object()]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_exact_content_is_refused(value):
    with pytest.raises(FingerprintError):
        fingerprint(value)
