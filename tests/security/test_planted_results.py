"""A pickle that somebody planted where results are kept is not run."""

import io
import os
import pickle

import pytest

from prefect_etl.errors import EtlError
from prefect_etl.orchestration.caching.container import Sections
from prefect_etl.orchestration.caching.serializer import ExactSerializer


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.fixture
def trap(tmp_path):
    place = tmp_path / "sprung"
    yield pickle.dumps(_Trap(str(place)))
    assert not place.exists()


def test_a_pickle_in_the_place_of_a_result_is_not_run(trap):
    with pytest.raises((EtlError, LookupError, ValueError)):
        ExactSerializer().loads(trap)


@pytest.mark.parametrize("kind", ["pickle", "compressed/pickle", "exact"])
def test_a_file_that_asks_to_be_unpickled_is_not_obeyed(trap, kind):
    file = io.BytesIO()
    sections = Sections(file)
    sections.finish({"kind": "t"}, {"t": "other", "type": kind, "v": sections.add_bytes(trap)})
    with pytest.raises(LookupError, match="written by the serializer"):
        ExactSerializer().loads(file.getvalue())
