"""The records of a file, from its first block of text to the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prefect_etl.connectors.files.csv.careful.blocks import BLOCK, Blocks
from prefect_etl.connectors.files.csv.careful.manner import Fault, Manner, Piece, Stand
from prefect_etl.connectors.files.csv.careful.mending import Mend
from prefect_etl.connectors.files.csv.careful.walk import Walk
from prefect_etl.connectors.files.csv.layout import Layout


class Records:
    """The records of one file.

    Args:
        blocks: Its text.
        layout: How it is written.
        width: How many fields a record has.
        mend: Whether to repair what is none.
        wanted: First lines of records whose text is asked for, with a rule and a reason.
    """

    def __init__(
        self,
        blocks: Blocks,
        layout: Layout,
        width: int,
        *,
        mend: bool = False,
        wanted: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:
        self._blocks = blocks
        self._manner = Manner(layout, width, blocks.encoding, mend=mend, wanted=wanted or {})
        self._stand = Stand(byte=blocks.encoding.bom, header=layout.header)

    def __iter__(self) -> Iterator[Piece]:
        """The records, in pieces."""
        rest, final = "", False
        while not final:
            # Twice as much as what one record has so far: its text is looked at again.
            block = self._blocks.next(max(BLOCK, len(rest)))
            final = block is None
            text = rest + (block or "")
            walk = Walk(self._manner, self._stand, text, final=final)
            if (piece := walk.piece()) is not None:
                yield piece
            if walk.over:
                return
            walk.leave()
            rest = text[walk.at :]

    @property
    def faults(self) -> list[Fault]:
        """What is no record and was not repaired; whoever reads may take them out."""
        return self._stand.faults

    @property
    def taken(self) -> list[Fault]:
        """Records that were wanted; whoever reads may take them out."""
        return self._stand.taken

    @property
    def mends(self) -> Mapping[Mend, tuple[int, int]]:
        """Repairs: how often, and the line of the first."""
        return self._stand.mends
