from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.partition import (
    MAX_BYTES,
    MIN_BYTES,
    Cut,
    CutAt,
    CutBySize,
    CutEvenly,
    RowRange,
    blocks_of,
    ends_of,
    group_rows,
    join_blocks,
    lanes,
    next_pack,
    packs,
    rows_in,
    target_bytes,
)

counts = st.integers(0, 10_000)
some = st.integers(1, 10_000)


def covers(cut: Cut, rows: int) -> bool:
    """Each row is in one range, in order, and no range is empty."""
    edges = [(part.start, part.stop) for part in cut]
    flat = [0, *(stop for _, stop in edges)]
    return (
        all(start == before for (start, _), before in zip(edges, flat, strict=False))
        and all(start < stop for start, stop in edges)
        and flat[-1] == rows
    )


@given(counts, some)
def test_ranges_of_a_size_cover_all_rows(rows, size):
    cut = CutBySize(rows, size)
    assert covers(cut, rows)
    assert all(part.rows == size for part in cut[:-1])


@given(counts, some)
def test_even_parts_cover_all_rows_and_differ_by_one_at_most(rows, parts):
    cut = CutEvenly(rows, parts)
    assert covers(cut, rows)
    assert len(cut) == min(rows, parts)
    sizes = {part.rows for part in cut}
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_a_cut_of_any_length_takes_no_memory():
    cut = CutBySize(10**15, 10)
    assert len(cut) == 10**14
    assert cut[-1] == RowRange(10**15 - 10, 10**15)


def test_a_partition_that_is_not_there_is_an_index_error():
    with pytest.raises(IndexError, match="no partition 3 of 3"):
        CutEvenly(9, 3)[3]
    assert len(CutAt(())) == len(CutAt((0,))) == 0


@given(st.integers(0, 2**60), st.integers(1, 1000))
def test_what_fits_is_clamped(total, concurrency):
    assert MIN_BYTES <= target_bytes(total, concurrency) <= MAX_BYTES


@given(some, counts, counts)
def test_a_partition_has_a_row_at_least(target, rows, nbytes):
    assert rows_in(target, rows, nbytes) >= 1


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 500)), max_size=30), some)
def test_joined_blocks_cover_all_rows_within_the_target(blocks, target):
    rows, nbytes = [b[0] for b in blocks], [b[1] for b in blocks]
    cut = join_blocks(rows, nbytes, target)
    assert covers(cut, sum(rows))
    ends = ends_of(rows)
    for part in cut:
        within = blocks_of(part, ends)
        assert sum(rows[i] for i in within) == part.rows
        assert len(within) == 1 or sum(nbytes[i] for i in within) <= target


@given(st.lists(st.integers(1, 9), min_size=1), st.data())
def test_the_blocks_of_rows_are_those_that_hold_one(sizes, data):
    ends = ends_of(sizes)
    start = data.draw(st.integers(0, ends[-1] - 1))
    rows = RowRange(start, data.draw(st.integers(start + 1, ends[-1])))
    owner = [block for block, size in enumerate(sizes) for _ in range(size)]
    assert set(blocks_of(rows, ends)) == set(owner[rows.start : rows.stop])


@given(st.lists(st.sampled_from("abcdef")))
def test_groups_hold_their_rows_in_order_and_come_as_they_appear(values):
    seen: dict[str, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)
    found = group_rows(codes)
    order = range(len(values)) if found.order is None else found.order.tolist()
    groups = [[order[i] for i in range(part.start, part.stop)] for part in found.cut]
    assert groups == [[i for i, v in enumerate(values) if v == value] for value in seen]
    assert found.first.tolist() == [group[0] for group in groups]


def test_rows_that_lie_together_are_not_moved():
    assert group_rows(np.array([0, 0, 1, 2, 2])).order is None


@given(some, st.booleans(), st.integers(1, 64))
def test_lanes_share_the_concurrency(concurrency, isasync, cores):
    widths = lanes(concurrency, isasync=isasync, cores=cores)
    assert sum(widths) == concurrency
    assert min(widths) >= 1


@given(counts, st.lists(st.integers(1, 1), min_size=1, max_size=200))
def test_packs_are_few_however_many_partitions_there_are(partitions, widths):
    found = packs(partitions, widths)
    assert covers(found, partitions)
    assert len(found) <= max(64, len(widths))


@given(counts, st.integers(1, 100), st.floats(0, 100) | st.none())
def test_a_pack_of_a_stream_keeps_its_lane_busy_and_is_bounded(number, width, seconds):
    assert width <= next_pack(number, (width,), seconds) <= max(width, 1_000)
