"""Tables in files: CSV of any usual encoding and separator, and XLSX, read row by row as texts; XLSX written row by row.

What is read comes from outside: nothing is trusted about it, no formula is run, and no more is unpacked than the limits here allow.
It knows neither records nor the web. All of it blocks: call it in a thread.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from crm_core.kernel.errors import Refusal

MOST_BYTES: Final = 50 * 1024 * 1024
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 200
CELL_LENGTH: Final = 32_767  # what a cell of a spreadsheet holds
UNPACKED: Final = 600 * 1024 * 1024  # all parts of an XLSX
IN_MEMORY: Final = 48 * 1024 * 1024  # a part that is held in memory
RATIO: Final = 150  # a part of 1 MB and more that unpacks to more than that is made to hurt
PARTS: Final = 2000
ENCODINGS: Final = ("utf-8", "gb18030", "utf-16", "cp1252")
SEPARATORS: Final = (",", ";", "\t")
_SAMPLE: Final = 64 * 1024
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NO_CELL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How a file is read: `format` is csv or xlsx; `sheets` are the names of all sheets, `sheet` the chosen one's place."""

    format: str
    encoding: str = ""
    separator: str = ""
    sheet: int = 0
    sheets: tuple[str, ...] = ()


def recognised(path: Path) -> Table:
    """What kind of file this is. Raises Refusal for one that is none, or made to hurt."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    if not head:
        raise Refusal("empty_file", "The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        return Table(format="xlsx", sheets=_sheets(path))
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refusal("old_format", "This is a spreadsheet of the old format, or locked by a password. Save it as XLSX or CSV.")
    encoding = _encoding(path, head)
    return Table(format="csv", encoding=encoding, separator=_separator(head.decode(encoding, errors="replace")))


def rows(path: Path, table: Table) -> Iterator[list[str]]:
    """All rows, the head first, each as long as its last filled cell. Raises Refusal where it can't go on, also in the middle."""
    found = _rows_of_csv(path, table) if table.format == "csv" else _rows_of_xlsx(path, table)
    for number, row in enumerate(found):
        if number > MOST_ROWS:
            raise Refusal("too_many_rows", "The file has more than {n} rows. Split it.", n=MOST_ROWS)
        yield row


# ------------------------------------------------------------------------------------------------------------------------- CSV


def _encoding(path: Path, head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if head.count(0) > len(head) // 5:
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    for name in ("utf-8", "gb18030"):
        if _decodes(path, name):
            return name
    return "cp1252"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while part := file.read(1 << 20):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _separator(sample: str) -> str:
    """The separator by which most of the first rows are as wide as the head; the wider one of two."""
    told = re.match(r"\ufeff?sep=([,;\t])\r?\n", sample)
    if told:
        return told[1]

    def fit(separator: str) -> tuple[int, int]:
        try:
            first = list(itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=separator), 30))
        except csv.Error:
            return (0, 0)
        width = len(first[0]) if first else 0
        return (sum(len(row) == width for row in first), width) if width > 1 else (0, 0)

    return max(SEPARATORS, key=fit)


def _rows_of_csv(path: Path, table: Table) -> Iterator[list[str]]:
    encoding = "utf-8-sig" if table.encoding == "utf-8" else table.encoding
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        start = file.read(6)
        if re.fullmatch(r"\ufeff?sep=[,;\t]?", start):
            file.readline()
        else:
            file.seek(0)
        csv.field_size_limit(1024 * 1024)
        reader = csv.reader(file, delimiter=table.separator)
        try:
            for row in reader:
                yield _trimmed([_unguarded(cell.lstrip("\ufeff") if n == 0 else cell) for n, cell in enumerate(row[:MOST_COLUMNS])])
        except csv.Error as error:
            raise Refusal(
                "broken_file",
                "From line {line} on the file can't be read: perhaps a quotation mark is missing.",
                line=reader.line_num,
            ) from error


def _unguarded(cell: str) -> str:
    """Without the mark that keeps a spreadsheet from taking a text for a formula: our own exports carry it."""
    return cell[1 : CELL_LENGTH + 1] if len(cell) > 1 and cell[0] == "'" and cell[1] in "=+-@\t\r\n" else cell[:CELL_LENGTH]


def _trimmed(row: list[str]) -> list[str]:
    while row and not row[-1].strip():
        row.pop()
    return row


# ------------------------------------------------------------------------------------------------------------------------ XLSX


def _look_inside(path: Path) -> None:
    """Refuse what would unpack to too much, by the file's own table of contents: no part is ever unpacked beyond what that says."""
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
            entities = any(
                one.file_size and b"<!DOCTYPE" in _first(packed, one) for one in parts if one.filename.endswith((".xml", ".rels"))
            )
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise _broken() from error
    whole = sum(one.file_size for one in parts)
    held = max((one.file_size for one in parts if "/worksheets/sheet" not in one.filename), default=0)
    steep = any(one.file_size > 1_000_000 and one.file_size > RATIO * max(one.compress_size, 1) for one in parts)
    if len(parts) > PARTS or whole > UNPACKED or held > IN_MEMORY or steep or entities:
        raise Refusal("unpacks_to_too_much", "The file unpacks to far more than it seems to hold, and was not opened.")


def _first(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    with packed.open(part) as file:
        return file.read(4096)


def _broken() -> Refusal:
    return Refusal("broken_file", "The file is damaged, or no spreadsheet. Open it, save it anew and try again.")


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    """The opened file. Whatever openpyxl stumbles over in it is a damaged file."""
    from openpyxl import load_workbook

    _look_inside(path)
    book = None
    try:
        with path.open("rb") as file:
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            yield book
    except Refusal:
        raise
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        SyntaxError,
        OverflowError,
        zipfile.BadZipFile,
        EOFError,
    ) as error:
        raise _broken() from error
    finally:
        if book is not None:
            book.close()


def _sheets(path: Path) -> tuple[str, ...]:
    with _workbook(path) as book:
        names = tuple(str(sheet.title) for sheet in book.worksheets)
    if not names:
        raise _broken()
    return names


def _rows_of_xlsx(path: Path, table: Table) -> Iterator[list[str]]:
    with _workbook(path) as book:
        if table.sheet >= len(book.worksheets):
            raise Refusal("no_such_sheet", "There is no such sheet.")
        sheet = book.worksheets[table.sheet]
        sheet.reset_dimensions()  # what the file says of its size need not be true
        for row in sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=MOST_COLUMNS, values_only=True):
            yield _trimmed([_text(cell) for cell in row])


def _text(cell: Any) -> str:
    """A cell as people would type it."""
    match cell:
        case None:
            return ""
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
        case datetime():
            return f"{cell:%Y-%m-%d}" if cell.time() == time() else f"{cell:%Y-%m-%d %H:%M:%S}"
        case date():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return str(cell)[:CELL_LENGTH]


def harmless(text: str) -> str:
    """Text that a spreadsheet won't take for a formula."""
    return f"'{text}" if text.startswith(_RISKY) and not text.lstrip("+-").replace(".", "", 1).isdigit() else text


def csv_line(values: Sequence[str]) -> bytes:
    """One line of a CSV file, in which no value is a formula."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(value) for value in values])
    return buffer.getvalue().encode()


class XlsxOut:
    """An XLSX file that grows row by row. Texts stay texts: what looks like a formula is none."""

    def __init__(self, path: Path, title: str) -> None:
        from openpyxl import Workbook

        self._path, self._book = path, Workbook(write_only=True)
        self._sheet = self._book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31] or "1")

    def add(self, many: Sequence[Sequence[str | int | Decimal | date | datetime | None]]) -> None:
        """Rows at the end."""
        for row in many:
            self._sheet.append([self._cell(value) for value in row])

    def _cell(self, value: str | int | Decimal | date | datetime | None) -> Any:
        from openpyxl.cell import WriteOnlyCell

        if not isinstance(value, str):
            return value
        text = _NO_CELL.sub("", value)[:CELL_LENGTH]
        if not text.startswith(("=", "#")):
            return text or None
        cell = WriteOnlyCell(self._sheet, text)  # what openpyxl would take for a formula or an error
        cell.data_type = "s"
        return cell

    def close(self) -> None:
        """Write what is left. Nothing can be added any more."""
        self._book.save(self._path)
