"""Datasets and loads made up at random, to compare a destination with the plain model."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.testing.exercise import Row
from prefect_etl.testing.loads import SCHEMA, TIMED, read_on, row

_MODES = ("append", "replace", "merge", "merge", "scd2", "scd2")
_LAST = 6


@dataclass(frozen=True, slots=True)
class RandomLoads:
    """A dataset of any write mode, and loads of it.

    Attributes:
        random: Where all choices come from.
        dataset: What is loaded.
        schema: Of its rows: the cursor is a number or a time.
    """

    random: Random
    dataset: DatasetSpec
    schema: TableSchema

    @classmethod
    def of(cls, random: Random, name: str) -> RandomLoads:
        """Make up a dataset."""
        write = random.choice(_MODES)
        keyed = write in ("merge", "scd2")
        dataset = DatasetSpec(
            name=name,
            write=write,
            key=random.choice(["id", ("id", "name")]) if keyed else (),
            cursor=random.choice(["seen", "seen", None]),
            deleted_when=random.choice(["gone", None]) if keyed else None,
            missing=random.choice(["keep", "delete", None]) if keyed else None,
            track=random.choice([("name", "gone"), ()]) if write == "scd2" else (),
        )
        return cls(random, dataset, random.choice([SCHEMA, TIMED]))

    def fields(self, version: int) -> dict[str, Any]:
        """The fields of a load that its rows do not say."""
        window = None
        if self.dataset.cursor and version and self.random.random() < 0.5:
            lower, upper = self.random.randint(1, _LAST), _LAST
            opened = self.random.random() < 0.3
            window = Window(self._seen(lower), self._seen(upper), open=opened)
        whole = window is None and self.random.random() < 0.4
        keys = self._keys() if window is not None and self.random.random() < 0.5 else None
        older = self.dataset.keyed and self.random.random() < 0.2
        moment = read_on(version + 3)
        return {
            "window": window,
            "whole": whole,
            "moment": moment,
            "keys": keys,
            "older": older,
        }

    def _keys(self) -> str | None:
        """Some of the keys that rows have; rows of the load may have others."""
        if not self.dataset.keyed:
            return None
        names = [self.schema[name].name for name in self.dataset.key]
        rows = [self._row() for _ in range(self.random.randint(1, 5))]
        values = ", ".join(f"({', '.join(literal(row[name]) for name in names)})" for row in rows)
        return f"SELECT * FROM (VALUES {values}) AS keys({', '.join(map(identifier, names))})"

    def units(self) -> dict[str | Unit, list[Row]]:
        """Few keys and few cursors, so that they meet; some units are new versions."""
        positions = self.random.sample(["a", "b", "c"], self.random.randint(1, 2))
        return {
            Unit(position, str(self.random.random())): [
                self._row() for _ in range(self.random.randint(0, 5))
            ]
            for position in positions
        }

    def _row(self) -> Row:
        seen = self.random.choice([None, *range(1, _LAST + 1)])
        return row(
            self.random.randint(1, 4),
            self.random.choice(["a", "b"]),
            None if seen is None else self._seen(seen),
            gone=self.random.random() < 0.3,
        )

    def _seen(self, number: int) -> str:
        return str(number) if self.schema is SCHEMA else f"2026-01-{number:02d} 00:00:00"
