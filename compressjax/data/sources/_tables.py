"""Batches of tables on disk: Parquet, Arrow and CSV, read by pyarrow."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from compressjax.core._settings import as_int
from compressjax.data.sources._optional import optional

Path = str | os.PathLike[str]
_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")


class Batches:
    """Batches that can be read again; every pass opens the source anew.

    Attributes:
        name: For messages.

    Example:
        >>> batches = Batches("ones", lambda: iter([np.ones((2, 3))]))
        >>> [batch.shape for batch in batches], [batch.shape for batch in batches]
        ([(2, 3)], [(2, 3)])
    """

    def __init__(self, name: str, start: Callable[[], Iterator[Any]]) -> None:
        self.name, self._start = name, start

    def __iter__(self) -> Iterator[Any]:
        return self._start()

    def __repr__(self) -> str:
        return f"Batches({self.name})"


def parquet_batches(
    paths: Path | Sequence[Path], columns: Sequence[str] | None = None, *, labels: str | None = None, size: int = 8192
) -> Batches:  # fmt: skip
    """Returns a source that reads columns of Parquet files, one group of rows after the other.

    .. math:: X_1, X_2, \\dots \\in R^{n \\times d}, \\quad n \\le \\text{size}

    Nulls become NaN. Files are closed between passes; nothing but one batch is in memory.

    Args:
        paths: A file, or several, read in this order.
        columns: Names of the features; None for all columns but the labels.
        labels: Name of the column of labels; batches are then pairs.
        size: Most rows in a batch, at least 1.

    Returns:
        Source for `fit`.

    Raises:
        ValueError: While it is read: if a group of rows cannot be read, which is named, a column is absent or holds no
            numbers.
        ImportError: If pyarrow is not installed (`compressjax[data]`).

    Example:
        >>> import os, tempfile, pyarrow, pyarrow.parquet
        >>> from compressjax.data import fit, standard_scaler
        >>> path = os.path.join(tempfile.mkdtemp(), "rows.parquet")
        >>> pyarrow.parquet.write_table(pyarrow.table({"a": [1.0, 3.0], "b": [2, 2]}), path)
        >>> fit(standard_scaler(), parquet_batches(path)).shift.tolist()
        [2.0, 2.0]
    """
    rows, parquet = _size("parquet_batches", size), optional("pyarrow.parquet", "data")
    files = _paths(paths)

    def read() -> Iterator[Any]:
        for path in files:
            with _opened(functools.partial(parquet.ParquetFile, path), path) as file:
                wanted = _wanted(path, file.schema_arrow.names, columns, labels)
                first = 0
                for group in range(file.num_row_groups):
                    after = first + file.metadata.row_group(group).num_rows
                    try:
                        for batch in file.iter_batches(rows, [group], columns=wanted):
                            yield arrays_of(path, batch, wanted, labels)
                    except (OSError, optional("pyarrow", "data").ArrowException) as error:
                        raise ValueError(
                            f"{path}: row group {group} (rows {first} to {after - 1}) cannot be read: {_line(error)}; "
                            "write the file again, or leave it out"
                        ) from error
                    first = after

    return Batches(f"parquet {files[0]}", read)


def arrow_batches(
    source: Any, columns: Sequence[str] | None = None, *, labels: str | None = None, size: int = 8192
) -> Batches:  # fmt: skip
    """Returns a source that reads columns of an Arrow table, or of files of record batches (memory-mapped).

    .. math:: X_1, X_2, \\dots \\in R^{n \\times d}, \\quad n \\le \\text{size}

    Args:
        source: A `pyarrow.Table`, or the path of an Arrow IPC file.
        columns: Names of the features; None for all columns but the labels.
        labels: Name of the column of labels; batches are then pairs.
        size: Most rows in a batch, at least 1.

    Returns:
        Source for `fit`.

    Raises:
        ValueError: While it is read: if the file cannot be read, a column is absent or holds no numbers.
        ImportError: If pyarrow is not installed (`compressjax[data]`).

    Example:
        >>> import pyarrow
        >>> table = pyarrow.table({"a": [1.0, 3.0], "kind": [0, 1]})
        >>> next(iter(arrow_batches(table, labels="kind")))[1].tolist()
        [0, 1]
    """
    rows, arrow = _size("arrow_batches", size), optional("pyarrow", "data")
    name = "table" if isinstance(source, arrow.Table) else str(os.fspath(source))

    def read() -> Iterator[Any]:
        table = source if isinstance(source, arrow.Table) else _mapped(name)
        wanted = _wanted(name, table.schema.names, columns, labels)
        for batch in table.select(wanted).to_batches(max_chunksize=rows):
            yield arrays_of(name, batch, wanted, labels)

    return Batches(f"arrow {name}", read)


def csv_batches(
    path: Path, columns: Sequence[str] | None = None, *, labels: str | None = None, size: int = 8192,
    delimiter: str = ",", names: Sequence[str] | None = None,
) -> Batches:  # fmt: skip
    """Returns a source that reads columns of numbers of a CSV file.

    .. math:: X_1, X_2, \\dots \\in R^{n \\times d}, \\quad n \\le \\text{size}

    Empty fields, `NA`, `NaN`, `null`, `None` and `?` become NaN; other text is an error.

    Args:
        path: File; `.gz` and others are unpacked.
        columns: Names of the features; None for all columns but the labels.
        labels: Name of the column of labels; batches are then pairs.
        size: Most rows in a batch, at least 1.
        delimiter: One character.
        names: Names of the columns of a file without a line of names.

    Returns:
        Source for `fit`.

    Raises:
        ValueError: While it is read: if a field is no number, which is named by row and column, a row has another
            number of fields, or a column is absent.
        ImportError: If pyarrow is not installed (`compressjax[data]`).

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "rows.csv")
        >>> _ = path.write_text("a,b\\n1,2\\n3,4\\n")
        >>> next(iter(csv_batches(path))).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    rows, csv, arrow = _size("csv_batches", size), optional("pyarrow.csv", "data"), optional("pyarrow", "data")

    def read() -> Iterator[Any]:
        parse = csv.ParseOptions(delimiter=delimiter)
        reading = csv.ReadOptions(column_names=list(names) if names else None)
        try:
            with csv.open_csv(path, reading, parse) as head:
                found = head.schema.names
            wanted = _wanted(path, found, columns, labels)
            # Types that are guessed from the first rows fail on later ones without naming them; text does not.
            types = {name: arrow.string() for name in wanted}
            kinds = csv.ConvertOptions(include_columns=wanted, column_types=types, strings_can_be_null=True,
                                       null_values=list(_MISSING))  # fmt: skip
            first = 0
            with csv.open_csv(path, reading, parse, kinds) as stream:
                for block in stream:
                    for start in range(0, block.num_rows, rows):
                        part = block.slice(start, rows)
                        yield arrays_of(path, _numbers(path, part, first + start), wanted, labels)
                    first += block.num_rows
        except (OSError, arrow.ArrowException) as error:
            raise ValueError(f"{path} cannot be read as CSV: {_line(error)}") from error

    return Batches(f"csv {path}", read)


def arrays_of(where: Any, batch: Any, wanted: Sequence[str], labels: str | None) -> Any:
    """A record batch as rows, or as rows and labels."""
    arrow = optional("pyarrow", "data")

    def column(name: str) -> np.ndarray:
        found = batch.column(name)
        kind = found.type
        if not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)
                or arrow.types.is_decimal(kind)):  # fmt: skip
            raise ValueError(f"{where}: column {name!r} holds {kind}, no numbers; encode it first, or leave it out of "
                             "columns")  # fmt: skip
        if arrow.types.is_boolean(kind) or arrow.types.is_decimal(kind):
            found = found.cast(arrow.float64() if arrow.types.is_decimal(kind) else arrow.uint8())
        return np.asarray(found.to_numpy(zero_copy_only=False))

    x = np.stack([column(name) for name in wanted if name != labels], axis=1)
    return x if labels is None else (x, column(labels))


def _numbers(path: Path, batch: Any, first: int) -> Any:
    """A record batch of text as numbers."""
    arrow = optional("pyarrow", "data")
    columns = []
    for name, column in zip(batch.schema.names, batch.columns):
        try:
            columns.append(column.cast(arrow.float64()))
        except arrow.ArrowInvalid as error:
            for row, text in enumerate(column.to_pylist()):
                if text is not None and not _is_number(text):
                    raise ValueError(f"{path}: row {first + row}, column {name!r} is {text!r}, no number; encode text "
                                     "first, or leave the column out of columns") from error  # fmt: skip
            columns.append(arrow.array([None if text is None else float(text) for text in column.to_pylist()]))
    return arrow.record_batch(columns, names=batch.schema.names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _wanted(where: Any, found: Sequence[str], columns: Sequence[str] | None, labels: str | None) -> list[str]:
    """The columns to read, labels last."""
    names = [name for name in found if name != labels] if columns is None else list(columns)
    wanted = names if labels is None else [*names, labels]
    if absent := [name for name in wanted if name not in found]:
        raise ValueError(f"{where}: there is no column {absent[0]!r}; it has {list(found)[:12]}")
    if not names:
        raise ValueError(f"{where}: no column is left for the rows")
    return wanted


def _opened(open_: Callable[[], Any], path: Path) -> Any:
    try:
        return open_()
    except (OSError, optional("pyarrow", "data").ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {_line(error)}") from error


def _mapped(path: str) -> Any:
    arrow = optional("pyarrow", "data")
    ipc = optional("pyarrow.ipc", "data")
    return _opened(lambda: ipc.open_file(arrow.memory_map(path)).read_all(), path)


def _paths(paths: Any) -> list[Path]:
    found = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not found:
        raise ValueError("parquet_batches: no file; give at least one path")
    return found


def _size(who: str, size: Any) -> int:
    if as_int(who, "size", size) < 1:
        raise ValueError(f"{who}: size={size} must be at least 1, the rows of a batch")
    return int(size)


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
