"""The open instances of one shared resource, and who uses them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from prefect_etl.utils.resources import ResourceManager
from prefect_etl.utils.resources.lifetimes import InThread

T = TypeVar("T")


class Watch:
    """What is open for one flow run.

    Attributes:
        changed: Guards everything here and in the pools; told of each change.
        opening: What is being set up.
        open: What is open, in the order in which it was.
    """

    def __init__(self) -> None:
        # Reentrant: a future that is done already calls back at once.
        self.changed = threading.Condition(threading.RLock())
        self.opening: set[Instance[Any]] = set()
        self.open: list[tuple[Pool[Any], Instance[Any]]] = []


class Instance(Generic[T]):
    """One opened resource.

    Attributes:
        life: The thread in which it lives.
        users: How many use it now, or wait for it to open.
    """

    def __init__(self, make: Callable[[], ResourceManager[T]]) -> None:
        # A context of its own: the cleanup, too, belongs to the flow run that opened it.
        self.life: InThread[T] = InThread(make, copy_context())
        self.users = 0


class Pool(Generic[T]):
    """Instances of one resource, up to a limit.

    Args:
        name: What it is, for messages.
        make: Makes an instance that is not open yet.
        limit: How many there may be, each with one user at a time; None for one that all share.
        watch: Told of what begins to open, and of what is open.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], ResourceManager[T]],
        limit: int | None,
        watch: Watch,
    ) -> None:
        self.name = name
        self._make = make
        self._limit = limit
        self._watch = watch
        self._instances: list[Instance[T]] = []
        self._waiting: deque[Future[Instance[T]]] = deque()

    def claim(self) -> Future[Instance[T]]:
        """Ask for an instance: now, or when one is free. It may still be opening."""
        claimed: Future[Instance[T]] = Future()
        with self._watch.changed:
            instance = self._free()
            if instance is not None:
                instance.users += 1
                claimed.set_result(instance)
                return claimed
            if self._limit is not None and len(self._instances) >= self._limit:
                self._waiting.append(claimed)
                return claimed
            instance = self._begin()
        claimed.set_result(instance)
        return claimed

    def give_back(self, instance: Instance[T]) -> None:
        """End a use, or a claim: the next who waits gets it."""
        with self._watch.changed:
            if not (instance in self._instances and self._hand_over(instance)):
                instance.users -= 1
            self._watch.changed.notify_all()

    def withdraw(self, claimed: Future[Instance[T]]) -> None:
        """Wait no longer."""
        if not claimed.cancel():
            self.give_back(claimed.result())

    def forget(self, instance: Instance[Any]) -> None:
        """Take an instance out that closes, or did not open; the next claim opens another."""
        with self._watch.changed:
            if instance in self._instances:
                self._instances.remove(instance)

    def _free(self) -> Instance[T] | None:
        shared = self._limit is None
        return next((i for i in self._instances if shared or not i.users), None)

    def _hand_over(self, instance: Instance[T]) -> bool:
        while self._waiting:
            claimed = self._waiting.popleft()
            if claimed.set_running_or_notify_cancel():
                claimed.set_result(instance)
                return True
        return False

    def _begin(self) -> Instance[T]:
        instance = Instance(self._make)
        instance.users = 1
        self._instances.append(instance)
        self._watch.opening.add(instance)
        instance.life.start().add_done_callback(lambda done: self._began(instance, done))
        return instance

    def _began(self, instance: Instance[T], done: Future[T]) -> None:
        with self._watch.changed:
            self._watch.opening.discard(instance)
            if done.exception() is None:
                self._watch.open.append((self, instance))
            else:
                self.forget(instance)
                self._open_for_next()
            self._watch.changed.notify_all()

    def _open_for_next(self) -> None:
        # Whoever waits for a free one would wait for ever: it opens another.
        while self._waiting:
            claimed = self._waiting.popleft()
            if claimed.set_running_or_notify_cancel():
                claimed.set_result(self._begin())
                return
