"""Prefect's result store, for one call of a task whose result is kept our way.

Prefect writes a result after the task has completed, and only logs when that fails. Here it is
written before: in `create_result_record`, which Prefect calls with the value while the task still
runs, so that a failure is the task's. Nobody sees it until Prefect commits the call, which then is
a rename. Whether there is a result is asked by reading it: what is damaged is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from logging import Logger, LoggerAdapter
from typing import Any

import anyio.to_thread
from prefect.client.schemas.objects import TaskRun
from prefect.context import TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging.loggers import get_logger, get_run_logger
from prefect.results import (  # type: ignore[attr-defined] # where Prefect takes them from, too
    ResultRecord,
    ResultRecordMetadata,
    ResultStore,
)
from prefect.serializers import Serializer
from prefect.transactions import get_transaction
from pydantic import PrivateAttr

from prefect_etl.orchestration.caching.flight import Flight, NoLocks
from prefect_etl.orchestration.caching.places import Place, Written, finished, place_of
from prefect_etl.orchestration.caching.result_file import (
    expires_at,
    has_expired,
    read_value,
    write_value,
)
from prefect_etl.orchestration.caching.serializer import ExactSerializer


@dataclass
class Call:
    """One call of a task.

    Attributes:
        key: Its cache key.
        task: The task's name.
        run: The task run, whose state tells how the call ended.
        place: Where its result is.
        other: The serializer that the user chose; None for ours.
        flight: Its turn among identical calls.
        found: The record that the storage had.
        written: The result that waits to be published.
        record: Its record.
    """

    key: str
    task: str
    run: TaskRun
    place: Place
    other: Serializer[Any] | None
    flight: Flight
    found: ResultRecord[Any] | None = None
    written: Written | None = None
    record: ResultRecord[Any] | None = None


class CallStore(ResultStore):
    """The store of one call; for any other key it is Prefect's own."""

    _plain: ResultStore = PrivateAttr()
    _call: Call = PrivateAttr()

    @classmethod
    def of(
        cls,
        plain: ResultStore,
        key: str,
        context: TaskRunContext,
        *,
        other: Serializer[Any] | None = None,
        alone: bool = True,
    ) -> CallStore:
        """A store for one call.

        Args:
            plain: Prefect's store of the task run.
            key: The call's cache key.
            context: Of the task run.
            other: The serializer that the user chose; None for ours.
            alone: Identical calls wait for this one.
        """
        if plain.result_storage is None:
            raise RuntimeError("Prefect gave the task run no result storage")
        place = place_of(key, plain.result_storage)
        flight = Flight(place.lock if alone else None)
        fields = {name: getattr(plain, name) for name in type(plain).model_fields}
        fields["lock_manager"] = plain.lock_manager or NoLocks()
        made = cls.model_construct(**fields)
        made._plain = plain  # noqa: SLF001 - pydantic makes the object, not its arguments
        made._call = Call(key, context.task.name, context.task_run, place, other, flight)  # noqa: SLF001
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Any:
        """A copy is for another run (a task or flow inside this task): it is Prefect's own."""
        # Transactions inside this call's are as isolated as it is, so they ask for locks, too.
        locks = {"lock_manager": self.lock_manager}
        return self._plain.model_copy(update={**locks, **(update or {})}, deep=deep)

    # --- Is there a result?

    def exists(self, key: str) -> bool:
        """Whether there is a result, whole and not expired; if so it is read now."""
        if key != self._call.key:
            return super().exists(key)
        try:
            if self.metadata_storage is not None and not super().exists(key):
                return False
            self._look()
        except BaseException:  # also Ctrl-C: the others that wait go on
            # Prefect asks before it feels responsible for the lock.
            self._call.flight.end()
            raise
        return self._answer()

    async def aexists(self, key: str) -> bool:
        """Whether there is a result; the event loop goes on while it is read."""
        if key != self._call.key:
            return await super().aexists(key)
        try:
            if self.metadata_storage is not None and not await super().aexists(key):
                return False
            await anyio.to_thread.run_sync(self._look)
        except BaseException:  # as above
            self._call.flight.end()
            raise
        return self._answer()

    def _answer(self) -> bool:
        found = self._call.found is not None
        if found:
            self._call.flight.end()  # nothing will be computed
        return found

    def _look(self) -> None:
        call = self._call
        try:
            with call.place.open() as content:
                if content is None:
                    return
                about = content.footer.about
                if about["key"] != call.key or has_expired(about):
                    return
                value = read_value(content, call.other)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, computing is right
            run_logger().warning(
                "The kept result of task %r is not used, the task runs again: %s: %s",
                call.task,
                type(error).__name__,
                error,
            )
            return
        call.found = self._record(value, expires_at(about))
        call.found.mark_persisted()

    def read(self, key: str, holder: str | None = None) -> ResultRecord[Any]:
        """The result that `exists` has read."""
        if key == self._call.key and self._call.found is not None:
            return self._call.found
        return self._plain.read(key, holder)

    async def aread(self, key: str, holder: str | None = None) -> ResultRecord[Any]:
        """The result that `aexists` has read."""
        if key == self._call.key and self._call.found is not None:
            return self._call.found
        return await self._plain.aread(key, holder)

    # --- A result is made, and kept.

    def create_result_record(
        self, obj: Any, key: str | None = None, expiration: Any = None
    ) -> ResultRecord[Any]:
        """The record of the task's value, which is written now, though not seen yet.

        Raises:
            StorageError: The storage refused.
            NoExactFormError: A part of the value has no exact form.
        """
        call = self._call
        if key != call.key:
            return self._plain.create_result_record(obj, key, expiration)
        record = self._record(obj, expiration)
        call.record = record
        if isinstance(obj, BaseException):  # of a state that the user made: never a result
            return record
        about = {
            "key": call.key,
            "task": call.task,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "expires": None if expiration is None else expiration.isoformat(),
        }
        nested = _is_nested()
        write = partial(write_value, value=obj, about=about, other=call.other)
        call.written = call.place.write(write, last=not nested)
        if nested:
            # It is committed with what is around it, and until then others shall not wait.
            call.flight.end()
        return record

    def _record(self, value: Any, expiration: Any) -> ResultRecord[Any]:
        metadata = ResultRecordMetadata(
            serializer=ExactSerializer(other=self._call.other),
            expiration=expiration,
            storage_key=self._call.place.name,
            storage_block_id=self.result_storage_block_id,
        )
        return ResultRecord(result=value, metadata=metadata)

    def persist_result_record(
        self, result_record: ResultRecord[Any], holder: str | None = None
    ) -> None:
        """Publish the result, when Prefect commits the call."""
        if result_record is self._call.record:
            self._publish(result_record)
        else:
            self._plain.persist_result_record(result_record, holder)

    async def apersist_result_record(
        self, result_record: ResultRecord[Any], holder: str | None = None
    ) -> None:
        """Publish the result, when Prefect commits the call."""
        if result_record is self._call.record:
            self._publish(result_record)
        else:
            await self._plain.apersist_result_record(result_record, holder)

    def _publish(self, record: ResultRecord[Any]) -> None:
        call = self._call
        state = call.run.state
        if call.written is None or (state is not None and not state.is_completed()):
            return  # a state that the user made says that it failed
        call.written.publish()
        call.written = None
        record.mark_persisted()
        if self.metadata_storage is not None:
            content = record.serialize_metadata()
            finished(self.metadata_storage.write_path(call.key, content=content))

    # --- Identical calls wait for the first.

    def acquire_lock(
        self, key: str, holder: str | None = None, timeout: float | None = None
    ) -> bool:
        """Wait until no other call computes the same."""
        if not self._is_own_lock(key):
            return super().acquire_lock(key, holder, timeout)
        self._call.flight.begin()
        return True

    async def aacquire_lock(
        self,
        key: str,
        holder: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - Prefect's call
    ) -> bool:
        """Wait until no other call computes the same; the event loop goes on."""
        if not self._is_own_lock(key):
            return await super().aacquire_lock(key, holder, timeout)
        await self._call.flight.abegin()
        return True

    def release_lock(self, key: str, holder: str | None = None) -> None:
        """The call is over; what it did not publish, it drops."""
        if key == self._call.key and self._call.written is not None:
            self._call.written.discard()
            self._call.written = None
        if self._is_own_lock(key):
            self._call.flight.end()
        else:
            super().release_lock(key, holder)

    def _is_own_lock(self, key: str) -> bool:
        return key == self._call.key and isinstance(self.lock_manager, NoLocks)


def run_logger() -> Logger | LoggerAdapter[Any]:
    """The log of the task run, or of results where there is none."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("results")


def _is_nested() -> bool:
    transaction = get_transaction()
    return transaction is not None and transaction.get_parent() is not None
