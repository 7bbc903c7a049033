"""Where every row that was read went."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Accounting:
    """The rows of a unit or load: ``read`` is the sum of all the others but the last two.

    Attributes:
        read: Rows read from the source.
        inserted: New rows in the table.
        updated: Rows of the table that were overwritten.
        unchanged: Rows that were in the table already, equal in all columns.
        deleted: Rows that asked for a deletion (``deleted_when``).
        superseded: Rows that lost against a later version of their key.
        filtered: Rows that ``where`` left out.
        quarantined: Rows that broke the contract and were put aside.
        replaced: Rows of an earlier version of the unit (or window, or table) that were taken out
            first.
        missing: Rows of the table that were deleted, or closed, because the source does not have
            their key any more.

    Example:
        >>> Accounting(read=3, inserted=2, quarantined=1).balanced
        True
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    superseded: int = 0
    filtered: int = 0
    quarantined: int = 0
    replaced: int = 0
    missing: int = 0

    @property
    def loaded(self) -> int:
        """Rows whose content the table now shows."""
        return self.inserted + self.updated + self.unchanged

    @property
    def accounted(self) -> int:
        """The sum that has to equal ``read``."""
        return self.loaded + self.deleted + self.superseded + self.filtered + self.quarantined

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.accounted

    def __add__(self, other: Accounting) -> Accounting:
        return Accounting(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Accounting)}
        )

    def as_dict(self) -> dict[str, int]:
        """The counts by name, as JSON keeps them."""
        return asdict(self)


def total(parts: list[Accounting]) -> Accounting:
    """Add up.

    Example:
        >>> total([Accounting(read=1, inserted=1), Accounting(read=2, filtered=2)]).read
        3
    """
    return sum(parts, Accounting())
