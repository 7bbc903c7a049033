"""Encodings: valid UTF-8 always wins, others are told apart, and what is unsure is refused."""

# ruff: noqa: RUF001  # letters that look alike are the point

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.connectors.files.csv.encoding import encoding_of, first_invalid, known_encoding
from prefect_etl.errors import SourceReadError

TOWNS = {
    "cp1252": "id,town\n1,Zürich\n2,Genève\n3,Malmö « Syd »\n4,Düsseldorf\n",
    "shift_jis": "id,town\n1,東京都\n2,大阪市\n3,横浜の港\n4,カタカナ\n",
    "gb18030": "id,town\n1,北京市\n2,上海\n3,广州\n4,深圳的路\n",
    "utf-16-le": "id,town\n1,Zürich\n2,Łódź\n3,東京\n",
    "utf-16-be": "id,town\n1,Zürich\n2,Łódź\n3,東京\n",
}


@pytest.mark.parametrize("encoding", TOWNS)
def test_an_encoding_is_found(encoding: str) -> None:
    data = TOWNS[encoding].encode(encoding)
    assert encoding_of(data, whole=True, name="a.csv").name == encoding


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_the_start_is_believed(encoding: str) -> None:
    found = encoding_of("a,b\nü,2\n".encode(encoding), whole=True, name="a.csv")
    assert found.confidence == 1.0
    assert found.name == encoding.removesuffix("-sig")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_valid_utf8_always_wins(text: str) -> None:
    data = text.removeprefix("\ufeff").encode()
    assert encoding_of(data, whole=True, name="a.csv").name == "utf-8"


@given(st.binary(max_size=60))
def test_any_bytes_have_an_encoding_or_are_refused(data: bytes) -> None:
    with suppress(SourceReadError):
        assert known_encoding(encoding_of(data, whole=True, name="a.csv").name)


@given(st.text(max_size=40).filter(lambda text: text.isprintable()), st.integers(0, 80))
def test_a_character_that_is_cut_off_is_no_invalid_byte(text: str, cut: int) -> None:
    assert first_invalid(text.encode()[:cut], whole=False) is None


def test_a_few_broken_lines_do_not_make_another_encoding() -> None:
    lines = [f"{n},Łódź".encode() for n in range(40)]
    lines[7] += b"\xff"
    assert encoding_of(b"\n".join(lines), whole=True, name="a.csv").name == "utf-8"


def test_what_is_unsure_is_refused_with_the_place_of_the_byte() -> None:
    with pytest.raises(SourceReadError, match=r"byte 0xE9 at 9") as caught:
        encoding_of(b"n,what\n1,\xe9\n", whole=True, name="a.csv")
    assert "encoding:" in str(caught.value)


def test_text_of_no_candidate_is_refused() -> None:
    greek = "id,town\n1,Αθήνα\n2,Θεσσαλονίκη\n3,Πάτρα\n4,Ηράκλειο\n".encode("cp1253")
    with pytest.raises(SourceReadError, match="is no UTF-8"):
        encoding_of(greek, whole=True, name="a.csv")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Betrag;Verwendungszweck\n1;Miete\n2;Einkauf Müller\n"),
        ("cp1252", "1;12,50 €\n2;9,99 €\n3;20 €\n"),
        ("cp1252", "année;été\n1;forêt\n2;L’Haÿ\n3;garçon\n"),
        ("cp1252", "MÜLLER;STRASSE\nKÖLN;GRÖSSE\n"),
        ("cp850", "1;München\n2;Köln\n3;Straße\n"),
        ("cp1250", "Jméno;Město\nŠtěpán;Plzeň\nŘehoř;Brno\n"),
        ("cp1250", "1;Łódź\n2;Gdańsk\n3;Świętokrzyskie\n"),
        ("cp1250", "1;Győr\n2;Székesfehérvár\n3;Hódmezővásárhely\n4;fűnyíró\n"),
        ("cp1254", "1;İstanbul\n2;Muğla\n3;Kırşehir\n4;Eskişehir\n5;Diyarbakır\n"),
        ("cp1251", "Код;Наименование\n1;Молоко\n2;Хлеб ржаной\n"),
        ("cp1251", "1;Київ\n2;Львів\n3;Їжак\n"),
        ("euc_jp", "1;ひらがなの文\n2;カタカナ\n"),
    ],
)
def test_letters_that_are_natural_tell_an_encoding(encoding: str, text: str) -> None:
    found = encoding_of(text.encode(encoding), whole=True, name="a.csv")
    assert text.encode(encoding).decode(found.name) == text
    assert found.confidence < 1


def test_an_encoding_that_is_none_is_refused() -> None:
    with pytest.raises(SourceReadError, match="utf-9 is no encoding"):
        known_encoding("utf-9")
