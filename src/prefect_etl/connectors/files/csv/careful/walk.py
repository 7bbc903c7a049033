"""Goes through text from record to record, and past what is none."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from prefect_etl.connectors.files.csv.careful.blocks import BOM, LONGEST, MARKED
from prefect_etl.connectors.files.csv.careful.grammar import Token
from prefect_etl.connectors.files.csv.careful.manner import QUOTE, Fault, Manner, Piece, Stand
from prefect_etl.connectors.files.csv.careful.mending import REPEATED
from prefect_etl.errors import SourceReadError

# A quote that is open over so many lines, each of which reads as a record, was none.
_SWALLOWED = 64
# What follows a broken record and is none either belongs to it, up to so many lines.
_BROKEN_LINES = 100
_MENDED = 1 << 20


class Walk:
    """Through one stretch of text.

    Args:
        manner: How.
        stand: Where it begins; it is kept up to date.
        text: Whole lines.
        final: Whether the file ends with them.

    Attributes:
        at: How far, in characters.
        over: Whether the table ends here.
    """

    def __init__(self, manner: Manner, stand: Stand, text: str, *, final: bool) -> None:
        self.at, self.over = 0, False
        self._manner, self._stand, self._final = manner, stand, final
        self._layout, self._grammar = manner.layout, manner.grammar
        self._text = text
        self._lines = list(StringIO(text, newline=""))
        self._index = 0
        self._known = (0, stand.byte)
        self._odd = BOM in text or manner.odd.search(text) is not None
        self._repeats = bool(stand.names) and stand.names in text
        self._exotic = manner.is_exotic(text)
        self._out: list[str] = []
        self._numbers: list[int] = []
        self._quoted = False
        if len(text) > LONGEST and len(self._lines) == 1:
            raise SourceReadError(
                f"line {stand.line} is longer than {LONGEST >> 20} million characters",
                hint="It is no table, or its lines end otherwise than with LF, CR or CRLF.",
            )

    def piece(self) -> Piece | None:
        """The records; None where there are none."""
        if not self._lines:
            return None
        if self._is_simple():
            self.at, self._index = len(self._text), len(self._lines)
            first = self._stand.line
            text = self._translated(self._text)
            return Piece(text, self._manner.sign, False, range(first, first + self._index))
        while self._index < len(self._lines) and not self.over and self._step():
            pass
        if not self._numbers:
            return None
        return Piece("".join(self._out), self._manner.sign, self._quoted, self._numbers)

    def leave(self) -> None:
        """Note how far it went."""
        self._stand.byte = self._byte()
        self._stand.line += self._index

    @property
    def _number(self) -> int:
        return self._stand.line + self._index

    def _byte(self) -> int:
        """The place in the file."""
        at, byte = self._known
        byte += self._manner.encoding.length(self._text[at : self.at])
        self._known = (self.at, byte)
        return byte

    def _is_simple(self) -> bool:
        """Whether each line is a record, and nothing is quoted: the way of most files."""
        layout, manner, stand = self._layout, self._manner, self._stand
        if stand.header or stand.line < layout.first or layout.last is not None or manner.wanted:
            return False
        if self._odd or self._exotic or self._repeats:
            return False
        if layout.comment and layout.comment in self._text:
            return False
        if not self._grammar.is_plain(self._text):
            return False
        sign = layout.delimiter
        return {line.count(sign) for line in self._lines} == {manner.width - 1}

    def _translated(self, text: str) -> str:
        sign = self._layout.delimiter
        return text if sign == self._manner.sign else text.replace(sign, self._manner.sign)

    def _step(self) -> bool:
        """One record, or what is none; false where more text is needed."""
        layout, line, number = self._layout, self._lines[self._index], self._number
        if layout.last is not None and number > layout.last:
            self.over = True
        elif number < layout.first or (layout.comment and line.startswith(layout.comment)):
            self._pass(1)
        elif self._stand.header:
            return self._pass_header(line)
        elif self._repeats and _bare(line) == self._stand.names:
            self._pass_repeated(line)
        elif self._reads_plainly(line) and not self._exotic:
            self._take(line)
            self._out.append(self._translated(line))
            self._numbers.append(number)
            self._pass(1)
        elif self._is_blank(line):
            self._pass(1)
        else:
            return self._take_record()
        return True

    def _pass(self, lines: int) -> None:
        for line in self._lines[self._index : self._index + lines]:
            self.at += len(line)
        self._index += lines

    def _pass_header(self, line: str) -> bool:
        if self._is_blank(line):
            self._pass(1)
            return True
        token = self._grammar.record(self._text, self.at)
        if self._needs_more(token):
            return False
        self._pass(self._lines_of(token))
        self._stand.header -= 1
        if self._layout.header == 1 and _names_columns(token.fields):
            self._stand.names = _bare(line)
            self._repeats = self._text.find(_bare(line), self.at) >= 0
        return True

    def _pass_repeated(self, line: str) -> None:
        """A line that names the columns once more, as where files were put together."""
        if self._manner.mender:
            self._stand.note(REPEATED, self._number)
        else:
            fault = Fault(
                self._number, self._byte(), "csv.header", "it is the header line again", _bare(line)
            )
            self._stand.faults.append(fault)
        self._pass(1)

    def _needs_more(self, token: Token) -> bool:
        return token.fault == "open" and not self._final and not self._swallows()

    def _swallows(self) -> bool:
        """Whether a quote that is open here takes in records, or more than a record may have."""
        if len(self._text) - self.at > LONGEST:
            return True
        following = self._lines[self._index + 1 : self._index + 1 + _SWALLOWED]
        enough = self._manner.width > 2 and len(following) == _SWALLOWED
        return enough and all(self._reads_plainly(line) for line in following)

    def _reads_plainly(self, line: str) -> bool:
        return (
            line.count(self._layout.delimiter) == self._manner.width - 1
            and self._grammar.is_plain(line)
            and not self._is_odd(line)
        )

    def _is_odd(self, text: str) -> bool:
        return self._odd and (text.startswith(BOM) or self._manner.odd.search(text) is not None)

    def _is_blank(self, line: str) -> bool:
        return (
            self._manner.width > 1
            and not line.strip(" \t\r\n")
            and self._layout.delimiter not in line
        )

    def _lines_of(self, token: Token) -> int:
        """How many lines a record has; one, where it is broken."""
        if token.fault:
            return 1
        at, lines = self.at, 0
        while at < token.end:
            at += len(self._lines[self._index + lines])
            lines += 1
        return max(lines, 1)

    def _ahead(self, lines: int) -> str:
        return "".join(self._lines[self._index : self._index + lines])

    def _take_record(self) -> bool:
        line = self._lines[self._index]
        quick = self._grammar.quick(line)
        if quick is not None and len(quick) == self._manner.width and not self._is_odd(line):
            self._take(line)
            self._keep(quick)
            self._pass(1)
            return True
        token = self._grammar.record(self._text, self.at)
        if self._needs_more(token):
            return False
        lines = self._lines_of(token)
        fits = not token.fault and len(token.fields) == self._manner.width
        if fits and not self._is_odd(text := self._ahead(lines)):
            self._take(text)
            self._keep(token.fields)
            self._pass(lines)
            return True
        if token.fault:
            lines = self._broken_lines()
        elif lines > 1 and self._reads_at(1):
            lines = 1
        if not any(self._mend(count) for count in dict.fromkeys((lines, 1))):
            text = self._ahead(lines)
            place = self._byte()
            rule, reason = self._reason(token, text, place)
            self._stand.faults.append(Fault(self._number, place, rule, reason, text.rstrip("\r\n")))
            self._pass(lines)
        return True

    def _mend(self, lines: int) -> bool:
        text = self._ahead(lines)
        mender = self._manner.mender
        mended = mender.mended(text) if mender and len(text) <= _MENDED else None
        if mended is None:
            return False
        fields, mends = mended
        for mend in mends:
            self._stand.note(mend, self._number)
        self._take(text)
        self._keep(fields)
        self._pass(lines)
        return True

    def _broken_lines(self) -> int:
        """Lines up to the next that reads as a record."""
        most = min(len(self._lines) - self._index, _BROKEN_LINES)
        return next((n for n in range(1, most + 1) if self._reads_at(n)), 1)

    def _reads_at(self, ahead: int) -> bool:
        """Whether a record, or nothing, begins so many lines ahead."""
        if self._index + ahead >= len(self._lines):
            return self._final
        line = self._lines[self._index + ahead]
        if self._reads_plainly(line) or self._is_blank(line):
            return True
        token = self._grammar.record(line, 0)
        return not token.fault and len(token.fields) == self._manner.width

    def _take(self, text: str) -> None:
        """Keep the text of a record that is wanted."""
        if (said := self._manner.wanted.get(self._number)) is not None:
            fault = Fault(self._number, self._byte(), *said, text.rstrip("\r\n"))
            self._stand.taken.append(fault)

    def _keep(self, fields: Sequence[str]) -> None:
        sign = self._manner.sign
        text = sign.join(fields)
        if text.count(sign) != len(fields) - 1 or self._manner.special.search(text):
            self._quoted = True
            text = sign.join(f"{QUOTE}{cell.replace(QUOTE, QUOTE * 2)}{QUOTE}" for cell in fields)
        self._out.append(f"{text}\n")
        self._numbers.append(self._number)

    def _reason(self, token: Token, text: str, place: int) -> tuple[str, str]:
        encoding = self._manner.encoding
        if marked := MARKED.search(text):
            where = place + encoding.length(text[: marked.start()])
            bad = ord(marked[0]) - 0xDC00
            return "csv.encoding", f"byte 0x{bad:02X} at {where} of the file is no {encoding.name}"
        if text.startswith(BOM):
            return "csv.bom", "a byte order mark stands before it, as where files were put together"
        if token.fault == "open":
            return "csv.quote", "a quote is opened and not closed"
        if token.fault:
            return "csv.quote", "a quote closes before its field ends"
        found = len(token.fields)
        fields = "field" if found == 1 else "fields"
        return "csv.fields", f"it has {found} {fields} instead of {self._manner.width}"


def _names_columns(fields: Sequence[str]) -> bool:
    """Whether a header is one that no row looks like: some names, not numbers."""
    names = {field for field in fields if field}
    return len(names) > 1 and any(not any(map(str.isdigit, name)) for name in names)


def _bare(line: str) -> str:
    return line.strip("\r\n" + BOM)
