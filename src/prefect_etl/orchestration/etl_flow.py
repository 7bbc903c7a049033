"""Prefect's flow, with what ours adds."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from prefect import Flow

from prefect_etl.orchestration.parameters import RunName, summarized, within_limit
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
        self._show_frames_in_names()

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
        changed._show_frames_in_names()  # noqa: SLF001 - it is ours
        return changed

    def _show_frames_in_names(self) -> None:
        if isinstance(self.flow_run_name, str):
            self.flow_run_name = RunName(self.flow_run_name)

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters cast to the types of the function's annotations; frames as they are.

        A frame that came to a deployment by reference is read here.
        """
        from prefect_etl.orchestration.routing.reference import with_frames

        # Prefect looks up the names of annotations where the function is defined: the user's.
        plain = copy(self)
        plain.fn = self._plain_fn
        return super(EtlFlow, plain).validate_parameters(with_frames(parameters))

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters as the API stores them: frames, and what is too large, as a short line."""
        bound = getattr(self.fn, "__prefect_self__", None)  # Prefect leaves a method's own out
        own = {name: value for name, value in parameters.items() if value is bound is not None}
        shown = summarized({name: parameters[name] for name in parameters if name not in own})
        # Prefect's encoder is FastAPI's, whose import takes a tenth of a second.
        plain = not own and all(map(_is_plain, shown.values()))
        return within_limit(shown if plain else super().serialize_parameters(shown | own))

    if not TYPE_CHECKING:  # type checkers see the overloads of Prefect

        def __call__(
            self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any
        ) -> Any:
            """Run the flow, on the shared local server if no API is configured."""

            def call() -> Any:
                from prefect_etl.orchestration.routing.inline import call_flow

                return call_flow(self, args, kwargs, return_state=return_state, wait_for=wait_for)

            return served(call, defer=self.isasync and not self.isgenerator)


def _is_plain(value: Any) -> bool:
    parts = value if type(value) is list else [value]
    return all(type(part) in _PLAIN for part in parts)
