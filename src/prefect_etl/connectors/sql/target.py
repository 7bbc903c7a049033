"""Where a load is merged."""

from __future__ import annotations

from dataclasses import dataclass

from prefect_etl.connectors.sql.dialect import Dialect
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.sql import identifier, literal

# Of a decided row: what is to happen, and the place of the table's row that it happens to.
ACTION, PLACE = "_etl_action", "_etl_place"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load is merged; names are quoted as the destination wants them.

    Attributes:
        table: The table.
        stage: The latest rows of the load: a table, or a SELECT in parentheses.
        actions: The name of a temporary table, made and dropped here: ``pg_temp._etl_actions``.
        tombstones: The ledger's table of deleted keys.
        named: Schema and name of the table, as the ledger knows it.
        dialect: How the destination spells what differs.
        keys: The keys of all rows at the source, a table or a SELECT in parentheses; None where the
            stage has all rows, or none is looked for.
    """

    table: str
    stage: str
    actions: str
    tombstones: str
    named: tuple[str, str]
    dialect: Dialect
    keys: str | None = None

    @property
    def this(self) -> str:
        """The condition on the ledger's rows of this table."""
        schema, name = self.named
        return f"table_schema = {literal(schema)} AND table_name = {literal(name)}"


def same_key(dataset: DatasetSpec, one: str, other: str) -> str:
    """The condition that rows of two aliases have one key.

    Example:
        >>> same_key(DatasetSpec(name="d", key=("a", "b")), "s", "t")
        's."a" = t."a" AND s."b" = t."b"'
    """
    return " AND ".join(f"{one}.{identifier(k)} = {other}.{identifier(k)}" for k in dataset.key)
