"""Lists of photos in files: text, CSV, TSV, Parquet. A bad line is that line's failure and nothing else's."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError

TABLE_SUFFIXES = (".csv", ".tsv")
LIST_SUFFIXES = (".txt", ".lst", *TABLE_SUFFIXES, ".parquet", ".pq")
COLUMNS = ("photo", "path", "image", "file", "filename", "file_name", "image_path")

LARGEST_LIST = 1 << 28  # bytes
MOST_LINES = 1_000_000  # of a list; more photos are several lists
LONGEST_NAME = 4096  # characters: Linux takes no longer path
LONGEST_FIELD = 131_072  # characters of any field of a table; the limit of Python's csv

_NAMED, _SHOWN = 20, 40  # columns of a header that a message names, and characters of each

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # what PowerShell writes with >


@dataclass(frozen=True)
class Entry:
    """A photo that a list names.

    Attributes:
        path: of the photo; of the list, where the line names none.
        line: its number, from 1; of Parquet the row; 0 outside of lists.
        problem: why the line names no photo, with the list and the line; empty where all is well.
        group: what stands in the column that was asked for.
    """

    path: Path
    line: int = 0
    problem: str = ""
    group: str = ""


@dataclass(frozen=True)
class _Row:
    """Line (from 1) and fields of a row of a table, or a name with its group; `problem` where it could not be taken
    apart."""

    line: int
    fields: Sequence[str]
    problem: str = ""

    @property
    def group(self) -> str:
        return self.fields[1] if len(self.fields) > 1 else ""


def _named(line: int, fields: Sequence[str], group: str | None) -> _Row:
    """A name with its group, which it needs where one was asked for."""
    if group is not None and not fields[1]:
        return _Row(line, fields, f"has nothing in column {group!r}")
    return _Row(line, fields)


def read_list(path: Path, group: str | None = None) -> list[Entry]:
    """The photos that a list names; relative ones are relative to the list's folder. They need not exist.

    * text: one path a line; empty lines and lines that begin with `#` do not count;
    * CSV, TSV: the column named `photo`, `path`, `image`, `file` or `filename` (in any case); without such a header
      the first column of every row;
    * Parquet: the column of such a name, or the only column of strings.

    Text is UTF-8, or UTF-16 with its byte order mark. A name that is no text is read where there is such a file.

    Args:
        group: a column of the table, in any case, whose value each entry gets; a line without one is a bad line.
    Raises:
        ImageError: the list cannot be read, has no line that counts, or no such column.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names = enumerate(_parquet_names(path, group), start=1)
            rows = [_named(number, fields, group) for number, fields in names if fields[0]]
        elif path.suffix.lower() in TABLE_SUFFIXES:
            rows = _table_names(path, _text(path), "\t" if path.suffix.lower() == ".tsv" else ",", group)
        elif group is not None:
            raise ImageError(f"{path}: a list of lines has no column {group!r}; expected a .csv, .tsv or .parquet")
        else:
            lines = enumerate(_text(path).split("\n"), start=1)
            rows = [_Row(k, [line.strip()]) for k, line in lines if line.strip() and not line.lstrip().startswith("#")]
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None
    if not rows:
        raise ImageError(f"{path}: no photo in this list")
    return [_entry(path, row) for row in rows]


def _entry(where: Path, row: _Row) -> Entry:
    problem = row.problem or _name_error(where.parent, row.fields[0])
    if problem:
        return Entry(where, row.line, f"{where}: line {row.line}: {problem}", row.group)
    return Entry(where.parent / row.fields[0], row.line, group=row.group)


def _name_error(folder: Path, name: str) -> str:
    """Why no file can have that name; empty where one can."""
    if "\0" in name:
        return "holds a NUL character; expected the path of a photo in UTF-8, or in UTF-16 with a byte order mark"
    if len(name) > LONGEST_NAME:
        return f"{len(name)} characters; a path has up to {LONGEST_NAME}"
    odd = "\ufffd" in name or any("\ud800" <= character <= "\udfff" for character in name)
    if odd and not os.path.lexists(folder / name):
        return "is not text in UTF-8, nor the name of a file"
    return ""


def _text(path: Path) -> str:
    """Bytes that are no UTF-8 become the surrogates that Python's file names have for them."""
    if path.stat().st_size > LARGEST_LIST:
        raise ImageError(f"{path}: {path.stat().st_size / 1e9:.1f} GB; a list has up to {LARGEST_LIST / 1e9:.1f}")
    data = path.read_bytes()
    if (count := data.count(b"\n")) > MOST_LINES:
        raise ImageError(f"{path}: {count} lines; a list has up to {MOST_LINES}, give several")
    coding = _UTF_16.get(data[:2])
    return data[2:].decode(coding, "replace") if coding else data.decode("utf-8-sig", "surrogateescape")


def _table_names(path: Path, text: str, delimiter: str, group: str | None) -> list[_Row]:
    """A row for each name, with that name alone or with its group, and for each bad line."""
    rows = [row for row in _table(text, delimiter) if row.problem or any(cell.strip() for cell in row.fields)]
    if not rows:
        return []
    column = _column(rows[0].fields)
    if group is not None:
        of_group = _group_column(path, rows[0].fields, group)
        return _cells(rows[1:], int(of_group == 0) if column is None else column, group, of_group)
    if column is None:
        return _cells(rows, 0)
    return _cells(rows[1:], column)


def _cells(rows: Sequence[_Row], column: int, group: str | None = None, of_group: int | None = None) -> list[_Row]:
    """What stands in the column, and in that of the groups; rows where nothing does are left out."""
    cells = []
    for row in rows:
        if not row.problem and len(row.fields) <= column:
            row = _Row(row.line, (), f"has {len(row.fields)} fields; the photo is field {column + 1}")
        if row.problem:
            cells.append(row)
        elif (name := row.fields[column].strip()) and of_group is not None:
            value = row.fields[of_group].strip() if len(row.fields) > of_group else ""
            cells.append(_named(row.line, [name, value], group))
        elif name:
            cells.append(_Row(row.line, [name]))
    return cells


def _table(text: str, delimiter: str) -> Iterator[_Row]:
    """Rows by the rules of CSV.

    A quote that is never closed, or a field beyond all limits, costs the line it begins in: the lines that it would
    have swallowed are read on their own.
    """
    lines = list(io.StringIO(text, newline=""))  # str.splitlines would also split at form feeds and the like
    start = 0
    while start < len(lines):
        reader = csv.reader(lines[start:], delimiter=delimiter)
        begin = start
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                end, problem = start + reader.line_num, f"{error}; a field has up to {LONGEST_FIELD} characters"
                break
            end = start + reader.line_num
            if end == len(lines) and end - begin > 1 and "".join(lines[begin:end]).count('"') % 2:
                problem = "a quote that is never closed"
                break
            yield _Row(begin + 1, fields)
            begin = end
        yield _Row(begin + 1, (), problem)
        for number in range(begin + 1, end):
            yield _single(number + 1, lines[number], delimiter)
        start = end


def _single(number: int, line: str, delimiter: str) -> _Row:
    try:
        return _Row(number, next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error as error:
        return _Row(number, (), str(error))


def _column(header: Iterable[str]) -> int | None:
    """The first name of COLUMNS that the header has, as a place."""
    places = {name.strip().lower(): place for place, name in reversed(list(enumerate(header)))}
    return next((places[name] for name in COLUMNS if name in places), None)


def _group_column(path: Path, header: Sequence[str], group: str) -> int:
    """The place of a column that has to be there. Raises ImageError."""
    names = [name.strip() for name in header]
    found = [place for place, name in enumerate(names) if name.lower() == group.strip().lower()]
    if not found:
        shown = ", ".join(ascii(name)[:_SHOWN] for name in names[:_NAMED])
        raise ImageError(f"{path}: no column {group!r}; its first line has {shown}")
    return found[0]


def _parquet_names(path: Path, group: str | None = None) -> list[list[str]]:
    """Of each row the name, and the group where one is asked for."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise ImageError(f"{path}: reading Parquet needs pyarrow; pip install 'facefit[batch]'") from None
    try:
        schema = parquet.read_schema(path)
        column = _column(schema.names)
        if column is None:
            strings = [
                k for k, kind in enumerate(schema.types) if pyarrow.types.is_string(kind)
                or pyarrow.types.is_large_string(kind)
            ]  # fmt: skip
            if len(strings) != 1:
                raise ImageError(f"{path}: columns {', '.join(schema.names)}; expected one of {', '.join(COLUMNS)}")
            column = strings[0]
        wanted = [column] if group is None else [column, _group_column(path, schema.names, group)]
        table = parquet.read_table(path, columns=[schema.names[place] for place in dict.fromkeys(wanted)])
        values = [table.column(schema.names[place]).to_pylist() for place in wanted]
    except pyarrow.ArrowException as error:
        raise ImageError(f"{path}: not a Parquet file that can be read ({error})") from None
    return [["" if value is None else str(value).strip() for value in row] for row in zip(*values, strict=True)]
