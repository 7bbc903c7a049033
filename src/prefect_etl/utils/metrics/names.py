"""What metrics may be called: Prometheus' rules, so that each name is good in every backend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from prefect_etl.errors import ConfigError

Kind = Literal["counter", "gauge", "histogram"]
Tags = tuple[tuple[str, str], ...]

UNITS = {"seconds": "s", "bytes": "By", "ratio": "1", "": ""}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_TAG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_MAPPED = str.maketrans(".- /", "____")
_RESERVED_TAGS = frozenset({"le", "quantile"})
_LONGEST_VALUE = 200


def metric_name(name: object, kind: Kind, unit: str | None) -> str:
    """The name under which a metric is kept and exported: with its unit, a counter with ``_total``.

    Dots, dashes, blanks and slashes become underscores; other characters are refused.

    Raises:
        ConfigError: It cannot be a name in Prometheus, or the unit is none of its base units.

    Example:
        >>> metric_name("rows.read", "counter", None)
        'rows_read_total'
        >>> metric_name("processing_time", "histogram", "seconds")
        'processing_time_seconds'
    """
    if not isinstance(name, str):
        raise ConfigError(f"a metric's name is a text, not {type(name).__name__}")
    if unit is not None and unit not in UNITS:
        raise ConfigError(
            f"the metric {name!r} cannot have the unit {unit!r}",
            hint="Prometheus counts in base units: give seconds, bytes or ratio, or no unit.",
        )
    base = name.translate(_MAPPED).removesuffix("_total" if kind == "counter" else "")
    if not _NAME.fullmatch(base) or base.startswith("__"):
        raise ConfigError(
            f"a metric cannot be called {name!r}",
            hint="A name has letters, digits and underscores, and begins with a letter.",
        )
    if kind != "counter" and base.endswith("_total"):
        raise ConfigError(
            f"a {kind} cannot be called {name!r}: the ending _total says that it is a counter",
            hint="Call metrics.counter, or choose another name.",
        )
    suffix = f"_{unit}" if unit and not base.endswith(f"_{unit}") else ""
    return base + suffix + ("_total" if kind == "counter" else "")


def unit_of(name: str) -> str:
    """The unit that a metric's full name says, in OpenTelemetry's spelling.

    Example:
        >>> unit_of("processing_time_seconds"), unit_of("read_bytes_total"), unit_of("rows_total")
        ('s', 'By', '')
    """
    last = name.removesuffix("_total").rpartition("_")[2]
    return UNITS.get(last, "")


def clean_tags(name: str, tags: Mapping[str, Any] | None) -> Tags:
    """The tags of one call, sorted, as texts.

    Raises:
        ConfigError: A tag cannot be a label in Prometheus.

    Example:
        >>> clean_tags("rows", {"table": "flights", "ok": True, "day": None})
        (('ok', 'true'), ('table', 'flights'))
    """
    if not tags:
        return ()
    if not isinstance(tags, Mapping):
        raise ConfigError(f"the tags of the metric {name} are a mapping, not {tags!r}")
    clean: dict[str, str] = {}
    for key, value in tags.items():
        label = str(key).translate(_MAPPED)
        if not _TAG.fullmatch(label) or label.startswith("__") or label in _RESERVED_TAGS:
            raise ConfigError(
                f"the metric {name} cannot have the tag {key!r}",
                hint="A tag has letters, digits and underscores; le and quantile are Prometheus'.",
            )
        if label in clean:
            raise ConfigError(f"two tags of the metric {name} are both called {label}")
        if value is not None:  # an empty label is none
            clean[label] = _text(value)[:_LONGEST_VALUE]
    return tuple(sorted(clean.items()))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # The value of an enumeration of texts, not its name: what equals a text is the same tag.
    return str.__str__(value) if isinstance(value, str) else str(value)
