"""Frames stay out of the API, and reach the flow as they are."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import prefect
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.orchestration import get_client
from prefect.states import Completed
from prefect.utilities.visualization import TaskVizTracker
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer

from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.parameters import MOST_BYTES, RunName, summarized, within_limit
from prefect_etl.orchestration.server import ServerInfo

FRAME = pd.DataFrame({"n": np.arange(1000), "secret_value": "hunter2"})
LINE = re.compile(r"^<pandas.DataFrame 1,?000 rows x 2 columns: n int64, secret_value \w+>$")


@dataclass
class Batch:
    frame: pd.DataFrame
    name: str = "batch"


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    frames: list[pd.DataFrame]
    password: SecretStr = SecretStr("hunter2")


class Anything:
    def __init__(self, frame: pd.DataFrame) -> None:
        self.inner = {"deep": [frame]}


@flow
def take(data: Any) -> None:
    """Take it."""


def stored(data: Any) -> Any:
    return take.serialize_parameters({"data": data})["data"]


@pytest.mark.parametrize(
    "value",
    [
        FRAME,
        [FRAME, {"x": (FRAME,)}],
        {"a": FRAME},
        Batch(FRAME),
        Model(frames=[FRAME]),
        Anything(FRAME),
        prefect.unmapped(FRAME),
        [[[{"deep": [Batch(FRAME)]}]]],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_frame_anywhere_in_a_parameter_becomes_a_line(value: Any) -> None:
    text = json.dumps(stored(value))
    assert len(text) < 500
    assert "hunter2" not in text
    assert "pandas.DataFrame" in text


def test_the_line_says_kind_size_and_columns() -> None:
    assert LINE.match(stored(FRAME))
    assert stored(Batch(FRAME)) == {"frame": stored(FRAME), "name": "batch"}


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": [1]}),
        pl.LazyFrame({"a": [1]}),
        pa.table({"a": [1]}),
        nw.from_native(pl.DataFrame({"a": [1]})),
        pd.Series([1]),
        np.zeros((100, 100)),
    ],
    ids=lambda frame: type(frame).__module__,
)
def test_frames_of_every_library_become_lines(frame: Any) -> None:
    assert stored(frame).startswith("<")
    assert stored({"x": frame})["x"] == stored(frame)


@pytest.mark.parametrize(
    "value",
    [1, "x", [1, 2], {"a": {"b": [1.5, None]}}, Completed(), {1, 2}, object(), b"abc", Any],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_no_frame_is_stored_as_prefect_stores_it(value: Any) -> None:
    assert stored(value) == prefect.Flow.serialize_parameters(take, {"data": value})["data"]


def test_what_a_model_hides_stays_hidden_beside_a_frame() -> None:
    class Job(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        password: str = Field(exclude=True)
        token: str
        frame: pd.DataFrame
        hidden: pd.DataFrame = Field(exclude=True)

        @field_serializer("token")
        def masked(self, token: str) -> str:
            return token[:1] + "***"

    job = Job(password="hunter2", token="secret", frame=FRAME, hidden=FRAME)
    shown = summarized({"job": job})["job"]
    assert LINE.match(shown.pop("frame"))
    assert shown == {"token": "s***"}


def test_a_value_that_holds_itself_ends() -> None:
    knot: list[Any] = [FRAME]
    knot.append({"again": knot})
    assert stored(knot)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_pass_as_the_objects_they_are(value: Any) -> None:
    assert summarized({"x": value})["x"] is value


@given(st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.integers()), max_size=5))
def test_what_fits_stays_and_the_rest_is_cut_to_the_limit(encoded: dict[str, Any]) -> None:
    assert within_limit(encoded) == encoded
    many = {name: [value] * 20_000 for name, value in encoded.items()}
    assert len(json.dumps(within_limit(many), separators=(",", ":"))) <= MOST_BYTES


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (list(range(10_000_000)), "<list of 10,000,000 items>"),
        ("x" * 10_000_000, "<str of 10,000,000 characters>"),
        (b"x" * 10_000_000, "<bytes of 10,000,000 bytes>"),
        ([["ab"] * 100] * 1000, "<list of 1,000 items>"),
    ],
    ids=["numbers", "text", "bytes", "nested"],
)
def test_a_large_plain_value_becomes_a_line_without_being_encoded(value: Any, line: str) -> None:
    assert stored(value) == line


def test_beside_a_large_value_a_small_one_is_stored() -> None:
    found = take.serialize_parameters({"data": {"ids": list(range(10**6)), "day": "monday"}})
    assert found == {"data": {"ids": "<list of 1,000,000 items>", "day": "monday"}}


@flow(flow_run_name="load {data} of {data.shape[0]} {other[0]} {day:%Y}")
def named(data: Any, other: Any, day: Any) -> str:
    return str(prefect.runtime.flow_run.name)


def test_a_frame_in_a_run_name_is_its_line(prefect_server: object) -> None:
    name = named([FRAME][0], ["x"], pd.Timestamp("2026-01-02"))
    assert name == f"load {stored(FRAME)} of 1000 x 2026"
    again = named.with_options(flow_run_name="{data}")
    assert again([FRAME], ["x"], None) == f"['{stored(FRAME)}']"


def test_a_run_name_without_frames_is_formatted_as_ever() -> None:
    assert RunName("{0}-{x!r:>5}-{y.imag}").format(1, x="a", y=2j) == "1-  'a'-2.0"


def annotated(annotation: Any) -> Any:
    def function(data: Any) -> Any:
        return data

    function.__annotations__ = {"data": annotation}
    return flow(function)


ARROW = pa.table({"a": [1]})
POLARS = pl.DataFrame({"a": [1]})


@pytest.mark.parametrize(
    ("annotation", "value", "get"),
    [
        (pd.DataFrame, FRAME, lambda v: v),
        (list[pd.DataFrame], [FRAME], lambda v: v[0]),
        (dict[str, pl.DataFrame], {"x": POLARS}, lambda v: v["x"]),
        (Optional[pa.Table], ARROW, lambda v: v),  # noqa: UP045 - as users write it
        (pd.DataFrame | pl.DataFrame, POLARS, lambda v: v),
        (tuple[pd.DataFrame, ...], (FRAME,), lambda v: v[0]),
        (Batch, Batch(FRAME), lambda v: v.frame),
        (Model, Model(frames=[FRAME]), lambda v: v.frames[0]),
    ],
)
def test_validation_hands_frames_on_as_they_are(
    annotation: Any, value: Any, get: Callable[[Any], Any]
) -> None:
    validated = annotated(annotation).validate_parameters({"data": value})["data"]
    assert get(validated) is get(value)


def test_validation_refuses_what_is_no_frame() -> None:
    with pytest.raises(prefect.exceptions.ParameterTypeError, match="instance of DataFrame"):
        annotated(list[pd.DataFrame]).validate_parameters({"data": [1]})


def test_annotations_are_looked_up_where_the_flow_is_written_also_with_retries(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "from __future__ import annotations\n"
        "import polars as only_here\n"
        "from prefect_etl import flow\n\n"
        "@flow(retries=1)\ndef load(data: list[only_here.DataFrame]) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import elsewhere  # type: ignore[import-not-found]

    assert elsewhere.load.validate_parameters({"data": [POLARS]})["data"][0] is POLARS


@task
def measure(data: pd.DataFrame) -> int:
    return len(data)


@flow
def inner(data: pd.DataFrame) -> int:
    return measure(data)


@flow
def drawn(data: pd.DataFrame) -> None:
    inner(data)
    measure(data)


def test_a_flow_of_frames_can_be_drawn() -> None:
    with TaskVizTracker() as tracker:
        drawn.fn(FRAME)
    assert [task.name for task in tracker.tasks] == ["inner-0", "measure-0"]


def test_a_method_keeps_its_object_out_of_the_api(prefect_server: object) -> None:
    class Loader:
        def __init__(self) -> None:
            self.frame = FRAME

        @flow
        def load(self, data: pd.DataFrame) -> Any:
            return prefect.runtime.flow_run.id

    with get_client(sync_client=True) as client:
        run = client.read_flow_run(Loader().load(FRAME))
    assert run.parameters == {"data": stored(FRAME)}


class CountingProxy:
    """Passes on what is sent to a server, and counts it."""

    def __init__(self, url: str) -> None:
        self.sent = 0
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, target, counts in ((client, server, 1), (server, client, 0)):
                threading.Thread(
                    target=self._pass, args=(source, target, counts), daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, counts: int) -> None:
        with source, target, suppress(OSError):
            while data := source.recv(1 << 16):
                self.sent += counts * len(data)
                target.sendall(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy(prefect_server: ServerInfo) -> Iterator[CountingProxy]:
    counting = CountingProxy(prefect_server.url)
    yield counting
    counting.close()


GUIDE = """
    import asyncio
    import numpy as np, pandas as pd
    from typing import Dict, List
    from prefect_etl import flow

    async def process_data(data):
        return {"processed": len(data)}

    @flow
    async def child_flow(data: pd.DataFrame) -> Dict:
        return {"processed": len(data)}

    @flow
    async def parent_flow(datasets: List[pd.DataFrame]):
        results = []
        for dataset in datasets:
            if len(dataset) > 1000:
                result = await child_flow(dataset)
            else:
                result = await process_data(dataset)
            results.append(result)
        return results

    large = pd.DataFrame(np.zeros((1_250_000, 10), dtype="int64"))
    assert large.memory_usage().sum() >= 100_000_000
    print(asyncio.run(parent_flow([large, large.head(10)])))
"""


def test_of_frames_of_a_hundred_megabytes_nothing_large_is_sent(
    proxy: CountingProxy, program: Callable[..., subprocess.Popen[str]]
) -> None:
    run = program(GUIDE, PREFECT_API_URL=proxy.url)
    output, errors = run.communicate()
    assert run.returncode == 0, errors
    assert output.strip() == "[{'processed': 1250000}, {'processed': 10}]"
    assert 1_000 < proxy.sent < 60_000
