"""How loads become rows of SQL tables: what all destinations that speak SQL share.

DuckDB, the engine, reads a load's rows once and stages them (:mod:`.staging`): which row of a key
is the latest, which asks for a deletion, the hash of what is tracked. The destination gets the
latest rows as a table of its own, and decides and applies there, in its own transaction, with
statements that are the same everywhere (:mod:`.merging`) but for a few spellings (:mod:`.dialect`).
"""
