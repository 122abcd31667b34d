"""The leaves of a file one by one: only what is asked for is read, checked and decoded."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compressjax.coding import _frame, _leaf, _table
from compressjax.coding._bits import Reader
from compressjax.coding._errors import ArtifactError, translated
from compressjax.coding._file import described, extra_table, reference
from compressjax.coding._limits import Budget, shown


class Leaves(Mapping[str, Any]):
    """The leaves of a file by path, each read and decoded when it is asked for.

    Opening reads the header and the manifest. A leaf reads its own section and checks it against its SHA-256, so memory
    is that of one leaf, and any order and any number of threads will do. Every byte that is used is checked; the digest
    of the whole file is not, since that would read all of it: `verify` does.

    Args:
        path: File that `write` or `artifact.save` wrote.
        max_bytes: Limit on the bytes of the decoded arrays of a leaf; by default as for `read`.
        convert: Function of a spec; by default leaves are specs of NumPy arrays, as `read` gives them.

    Attributes:
        manifest: Metadata, ledger and structures.

    Raises:
        ArtifactError: If the file cannot be read or is damaged; from a leaf, if its section is.

    Example:
        >>> import numpy as np, tempfile, os.path
        >>> from compressjax import coding
        >>> path = os.path.join(tempfile.mkdtemp(), "w.cjx")
        >>> _ = coding.write(path, {"a": np.arange(4), "b": np.ones(2)})
        >>> leaves = Leaves(path)
        >>> list(leaves), leaves["b"].tolist()
        (['a', 'b'], [1.0, 1.0])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        self._path, self._max_bytes, self._convert = os.fspath(path), max_bytes, convert
        with translated(self._path):
            first = self._read(0, _frame.HEADER_BYTES)
            self._length = os.path.getsize(self._path)
            _frame.check_header(first, self._length)
            data = self._read(0, _frame.head_bytes(first))
            self._head = _frame.head(memoryview(data), Budget(max_bytes, self._length))
            self.manifest = described(self._head)
        rows = self.manifest.ledger.leaves
        self._starts = list(itertools.accumulate((row.file_bytes for row in rows), initial=0))
        self._sections = list(itertools.accumulate(self._head.lengths, initial=0))
        self._index = {row.path: index for index, row in enumerate(rows)}

    def __getitem__(self, path: str) -> Any:
        """The leaf at a path."""
        index = self._index[path]
        structure = self.manifest.structures[path]
        if (place := reference(structure)) is not None:
            return self[self.manifest.ledger.leaves[place].path]
        with translated(f"{self._path}: leaf {shown(path)}"):
            budget = Budget(self._max_bytes, self._length)
            reader = Reader(self._payload(self._starts[index], self._starts[index + 1]))
            spec = _leaf.decode(structure, reader, budget)
            if len(reader.rest()):
                raise ArtifactError("bytes are left after its last array; the file is damaged")
            return spec if self._convert is None else self._convert(spec)

    def __iter__(self) -> Iterator[str]:
        """Paths in the order of the file."""
        return iter(self._index)

    def __len__(self) -> int:
        """Number of leaves."""
        return len(self._index)

    def extras(self) -> dict[str, bytes]:
        """Extra sections, such as a program, each checked."""
        found, first = {}, len(self._head.lengths) - len(table := extra_table(self._head))
        for index, (name, size) in enumerate(table, first):
            with translated(f"{self._path}: extra section {shown(name)}"):
                Budget(self._max_bytes, self._length).spend(size, "it")
                begin, end = self._sections[index : index + 2]
                section = memoryview(self._read(self._head.start + begin, end - begin))
                _frame.check_section(section, index, self._head.digests)
                found[name] = bytes(section) if len(section) == size else _table.inflate(section, size)
        return found

    def _payload(self, start: int, stop: int) -> memoryview:
        """Bytes of a leaf, from its section, which is checked."""
        if start == stop:
            return memoryview(b"")
        index = bisect.bisect_right(self._sections, start) - 1
        begin, end = self._sections[index : index + 2]
        if stop > end:
            raise ArtifactError("it does not lie in one section; the file is damaged")
        section = memoryview(self._read(self._head.start + begin, end - begin))
        _frame.check_section(section, index, self._head.digests)
        return section[start - begin : stop - begin]

    def _read(self, start: int, count: int) -> bytes:
        try:
            with open(self._path, "rb") as file:
                file.seek(start)
                return file.read(count)
        except OSError as error:
            raise ArtifactError(f"it cannot be read: {error.strerror or error}; check the path") from error
