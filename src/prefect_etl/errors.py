"""The one exception tree.

::

    EtlError                       everything this package raises on purpose
    |-- Retriable                  the same call may succeed later; Prefect's retries apply
    |   |-- BusyError              another process holds what we need; names the holder
    |   |-- UnreachableError       a server does not answer, or hung up
    |   |-- VersionConflict        another run published first; discard and plan again
    |   |-- PartitionsFailedError  fewer partitions succeeded than asked for; carries all results
    |   `-- SourceChangedError     the source moved while it was read
    |-- Fatal                      trying again changes nothing; a person has to act
    |   |-- AccountingError        rows read do not add up; nothing was published
    |   |-- ReplayGapError         the destination is behind the raw zone and the gap is not kept
    |   |-- RunFailedError         parts of a run failed; carries its report
    |   `-- StorageError           the disk is full, a folder is read-only, a file is damaged
    |-- DataError                  the data is wrong, the machinery is not
    |   |-- SourceReadError        a file or row cannot be read as its format says
    |   |-- SchemaError            columns changed in a way that is not widening
    |   `-- ContractError          more rows broke the contract than it allows
    `-- ConfigError                the pipeline file, settings or options are wrong
        `-- AccessError            a server refuses: password, permission, certificate

Recovery is a type: policies ask ``isinstance``, never a message. Every message says what is
wrong and where; ``hint`` says what to do next.
"""

from __future__ import annotations


class EtlError(Exception):
    """Base of all errors of this package.

    Args:
        message: What is wrong and where, in one sentence.
        hint: What to do next, in one sentence; printed on its own line.

    Example:
        >>> print(EtlError("flights.csv is empty", hint="Put data in it."))
        flights.csv is empty
        Put data in it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[EtlError], message: str, hint: str | None) -> EtlError:
    return kind(message, hint=hint)


class Retriable(EtlError):
    """The same call may succeed later."""


class BusyError(Retriable):
    """Another process holds what we need, and the wait is over."""


class UnreachableError(Retriable):
    """A server does not answer, hung up, or says that it is starting or full."""


class VersionConflict(Retriable):
    """Another run published this table first: discard, plan again."""


class PartitionsFailedError(Retriable):
    """Fewer partitions succeeded than asked for; those that did are in the record.

    Attributes:
        results: The ``PartitionResults``, those that succeeded too; None in another process.
    """

    def __init__(self, message: str, *, hint: str | None = None, results: object = None) -> None:
        super().__init__(message, hint=hint)
        self.results = results


class SourceChangedError(Retriable):
    """The source changed while it was read; nothing of that read was kept."""


class Fatal(EtlError):
    """Trying again changes nothing."""


class AccountingError(Fatal):
    """The rows of a load do not add up; the transaction was rolled back."""


class ReplayGapError(Fatal):
    """The destination is behind the raw zone, and what lies between is no longer kept."""


class RunFailedError(Fatal):
    """Parts of a run failed; the others were published.

    Attributes:
        report: The run's ``RunReport``.
    """

    def __init__(self, message: str, *, hint: str | None = None, report: object = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class StorageError(Fatal):
    """The local disk or folder refused: full, read-only, damaged."""


class DataError(EtlError):
    """The data is wrong."""


class SourceReadError(DataError):
    """A file or row cannot be read as its format says."""


class SchemaError(DataError):
    """The columns of a source and of its table do not fit together."""


class ContractError(DataError):
    """More rows broke the contract than it allows; nothing was published."""


class ConfigError(EtlError):
    """The pipeline file, the settings or the options are wrong."""


class AccessError(ConfigError):
    """A server refuses: a wrong password, no permission, a certificate that is not trusted."""
