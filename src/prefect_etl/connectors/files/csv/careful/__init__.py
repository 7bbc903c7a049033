"""Reads CSV files that the fast reader cannot: any spelling, with bad records put aside or mended.

``blocks`` gives text in whole lines, ``grammar`` tells what a record is, ``records`` walks from one
record to the next and past those that are none, ``mending`` repairs them, ``spool`` keeps their
fields as text, ``conversion`` turns text to types, ``rejects`` keeps what is no row.
"""

from __future__ import annotations
