"""For the tests of users and of connectors.

A connector is tested by saying how to put rows into its system and how to get them out::

    from prefect_etl.testing import Exercise, destination_conformance, source_conformance

    class Ours(Exercise):
        scheme = "ours"

        def uri(self, folder):                 # a system that is empty, for this folder alone
            return f"ours://{folder}/test.db"

        def put(self, folder, rows):           # the source now holds these rows and no others
            ...

        def fields(self):                      # what a dataset needs to read them
            return {"table": "t"}

        def rows(self, folder, schema, table):  # what a loaded table holds
            ...

    TestOurSource = source_conformance(Ours())
    TestOurDestination = destination_conformance(Ours())

:func:`instant_retries` makes tests of code that retries take no time.
"""

from __future__ import annotations

from prefect_etl.testing.destination import DestinationConformance, destination_conformance
from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.retries import instant_retries
from prefect_etl.testing.source import SourceConformance, source_conformance

__all__ = [
    "DestinationConformance",
    "Exercise",
    "SourceConformance",
    "destination_conformance",
    "instant_retries",
    "source_conformance",
]
