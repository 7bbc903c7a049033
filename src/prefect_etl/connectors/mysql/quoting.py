"""Names and values as MySQL and MariaDB spell them by default.

They differ from the SQL standard (:mod:`prefect_etl.core.sql`): names stand in backticks, and a
backslash begins an escape (https://dev.mysql.com/doc/refman/8.4/en/string-literals.html). Our
connections set the mode in which this is so.
"""

from __future__ import annotations

from prefect_etl.connectors.relational.query import spelled as spelled_by_standard


def quoted(*names: str) -> str:
    """Quote and join the parts of a name.

    Example:
        >>> quoted("shop", "a `b`")
        '`shop`.`a ``b```'
    """
    for name in names:
        if "\0" in name:
            raise ValueError(f"a name cannot contain a NUL character: {name!r}")
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def spelled(value: object) -> str:
    r"""A value as SQL.

    Example:
        >>> spelled("it's \\ here"), spelled(7)
        ("'it''s \\\\ here'", '7')
    """
    text = spelled_by_standard(value)
    return text.replace("\\", "\\\\") if text.startswith("'") else text
