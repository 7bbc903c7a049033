"""Prefect's flow, with what ours adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from prefect import Flow

from prefect_etl.orchestration.parameters import summarized
from prefect_etl.orchestration.retries.flows import giving_up
from prefect_etl.orchestration.retries.options import flow_retry_options
from prefect_etl.orchestration.serving import served
from prefect_etl.orchestration.tracking import tracked

P = ParamSpec("P")
R = TypeVar("R")
# What JSON has, and no subclass: an enumeration of texts is none of them.
_PLAIN = (str, int, bool, type(None))


class EtlFlow(Flow[P, R]):
    """Prefect's flow; the class stays the same through ``with_options``.

    Args:
        fn: The flow's function.
        track_metrics: Record duration, outcome, task runs, rows and memory with the run.
        options: Prefect's own.
    """

    def __init__(self, fn: Callable[P, R], *, track_metrics: bool = False, **options: Any) -> None:
        # Prefect makes the copy in `with_options` from `fn`: what is wrapped, stays wrapped.
        super().__init__(tracked(fn) if track_metrics else fn, **flow_retry_options(options))
        self.track_metrics = track_metrics
        self._plain_fn = fn
        if self.retries:
            self.fn = giving_up(self.fn)

    def with_options(self, *, track_metrics: bool | None = None, **options: Any) -> EtlFlow[P, R]:
        """Copy the flow with some options changed, as Prefect does."""
        # Prefect names its own class there; the copy differs from ours by nothing else.
        changed = cast("EtlFlow[P, R]", super().with_options(**flow_retry_options(options)))
        changed.__class__ = type(self)
        changed.track_metrics = self.track_metrics if track_metrics is None else track_metrics
        changed._plain_fn = self._plain_fn  # noqa: SLF001 - it is ours
        changed.fn = tracked(self._plain_fn) if changed.track_metrics else self._plain_fn
        if changed.retries:
            changed.fn = giving_up(changed.fn)
        return changed

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters as the API stores them: plain values as they are, frames as a summary."""
        # Prefect's encoder is FastAPI's, whose import takes a tenth of a second.
        if all(map(_is_plain, parameters.values())):
            return dict(parameters)
        return super().serialize_parameters(summarized(parameters))

    if not TYPE_CHECKING:  # type checkers see the overloads of Prefect

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Run the flow, on the shared local server if no API is configured."""
            defer = self.isasync and not self.isgenerator
            return served(lambda: Flow.__call__(self, *args, **kwargs), defer=defer)


def _is_plain(value: Any) -> bool:
    parts = value if type(value) is list else [value]
    return all(type(part) in _PLAIN for part in parts)
