"""One key for one content: of frames of any library, arrays and plain values."""

from __future__ import annotations

from prefect_etl.core.fingerprint.encoding import FingerprintError
from prefect_etl.core.fingerprint.key import fingerprint

__all__ = ["FingerprintError", "fingerprint"]
