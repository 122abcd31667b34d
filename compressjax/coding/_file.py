"""Reads and writes artifact files: leaf specs by path, with metadata, a ledger, and extra sections of bytes."""

from __future__ import annotations

import collections
import itertools
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding import _containers, _frame, _leaf, _store, _table
from compressjax.coding import _ledger as ledgers
from compressjax.coding._bits import Buffer, Reader
from compressjax.coding._dtypes import Bits
from compressjax.coding._errors import ArtifactError, translated
from compressjax.coding._ledger import Ledger, LedgerRow
from compressjax.coding._limits import PATH, Budget, checked_count, shown

_SECTION = 4096  # small leaves share a section, since a digest per leaf would be larger than the leaf


class Manifest(NamedTuple):
    """Description of the contents of a file.

    Attributes:
        format: Format version.
        metadata: Values that the writer stored, such as recipe, versions, seeds, data fingerprint.
        ledger: Bytes of each leaf and of the overhead.
        structures: `{path: structure}`, the stored form of each leaf.
    """

    format: int
    metadata: dict[str, Any]
    ledger: Ledger
    structures: dict[str, Any]


class Contents(NamedTuple):
    """A decoded file.

    Attributes:
        manifest: Metadata, ledger and structures.
        leaves: `{path: spec}` of NumPy arrays.
        extras: `{name: bytes}`.
    """

    manifest: Manifest
    leaves: dict[str, Any]
    extras: dict[str, bytes]


def dumps(
    leaves: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    extras: Mapping[str, bytes] | None = None,
    packed_bits: Mapping[str, int] | None = None,
) -> bytes:
    """Encodes an artifact as bytes.

    Args:
        leaves: `{path: spec}`; a spec is a NumPy array, `Bits`, or `{"node", "meta", "fields"}` of specs. Or a function
            that makes one, called when its turn comes, so that not all are in memory.
        metadata: JSON-able.
        extras: Named byte strings, such as a program.
        packed_bits: `{path: size_bits()}` for the ledger.

    Returns:
        Bytes of the file.

    Raises:
        ArtifactError: If a leaf cannot be stored or metadata is not JSON.

    Example:
        >>> import numpy as np
        >>> loads(dumps({"w": np.arange(3)})).leaves["w"].tolist()
        [0, 1, 2]
    """
    sections: list[bytes] = []
    manifest, version = _packed(leaves, sections.append, metadata, extras, packed_bits)
    return _frame.build(manifest, sections, version)


def _packed(
    leaves: Mapping[str, Any],
    put: Callable[[bytes], None],
    metadata: Mapping[str, Any] | None = None,
    extras: Mapping[str, bytes] | None = None,
    packed_bits: Mapping[str, int] | None = None,
) -> tuple[dict[str, Any], int]:
    """Hands on the sections in order; the manifest, and the format version that says what it holds."""
    metadata, first = dict(metadata or {}), _first_places(leaves)
    entries, current, held = [], [], 0
    for path, (structure, payload) in zip(leaves, _encoded(leaves, first), strict=True):
        entries.append([path, structure, (packed_bits or {}).get(path)])
        current.append(payload)
        held += len(payload)
        if held >= _SECTION:
            put(b"".join(current))
            current, held = [], 0
    if held:
        put(b"".join(current))
    described = []
    for name, data in (extras or {}).items():
        deflater = zlib.compressobj(9, wbits=-15)
        deflated = deflater.compress(data) + deflater.flush()
        described.append([name, len(data)])
        put(deflated if len(deflated) < len(data) else data)
    newer = first != list(range(len(first))) or _containers.is_ordered(metadata.get("tree"))
    version = 3 if any(_leaf.newer(structure) for _, structure, _ in entries) else 2 if newer else 1
    return {"metadata": metadata, "leaves": entries, "extras": described}, version


def _first_places(leaves: Mapping[str, Any]) -> list[int]:
    """For each leaf the number of the first leaf that is the same object."""
    places: dict[int, int] = {}
    shareable = dict | np.ndarray | Bits
    return [
        places.setdefault(id(spec), index) if isinstance(spec, shareable) or callable(spec) else index
        for index, spec in enumerate(leaves.values())
    ]


def _encoded(leaves: Mapping[str, Any], first: list[int]) -> Iterator[tuple[Any, bytes]]:
    """Structure and payload of every leaf; what stands at several paths is stored at the first of them."""

    def encode(index: int, path: str, spec: Any) -> tuple[Any, bytes]:
        if first[index] != index:
            return {"r": first[index]}, b""
        try:
            return _leaf.encode(spec)
        except ArtifactError as error:
            raise ArtifactError(f"leaf {path!r}: {error}") from error

    def given(index: int, path: str, spec: Any) -> Any:
        if len(path) > PATH:
            raise ArtifactError(f"the path {shown(path)} is longer than {PATH} characters, which no file may hold")
        return spec() if callable(spec) and first[index] == index else spec

    # The coders, zlib and most of NumPy let other threads run meanwhile. There are no more leaves than threads.
    threads = min(8, os.cpu_count() or 1) if len(leaves) > 1 else 1
    waiting: collections.deque[Future[tuple[Any, bytes]]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        for index, (path, spec) in enumerate(leaves.items()):
            if len(waiting) == threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(encode, index, path, given(index, path, spec)))
        while waiting:
            yield waiting.popleft().result()


def loads(data: Buffer, *, max_bytes: int | None = None, name: str = "artifact") -> Contents:
    """Checks and decodes the bytes of an artifact.

    Args:
        data: The whole file.
        max_bytes: Limit on the bytes of decoded arrays; by default 1 GiB plus 256 times the length of the file.
        name: Name of the file in error messages.

    Returns:
        Manifest, leaves as specs of NumPy arrays, extras.

    Raises:
        ArtifactError: If any byte is altered, missing or added, the version is unknown, or a size is out of bounds.

    Example:
        >>> import numpy as np
        >>> loads(dumps({"w": np.zeros((2, 3))})).leaves["w"].shape
        (2, 3)
    """
    budget = Budget(max_bytes, len(data))
    frame = _frame.parse(data, name, budget)
    with translated(name):
        manifest = described(frame)
        extras = _extras(frame, budget)
        reader = Reader(frame.body[: sum(frame.lengths[: len(frame.lengths) - len(extras)])])
        leaves: dict[str, Any] = {}
        paths = list(manifest.structures)
        for path, structure in manifest.structures.items():
            with translated(f"leaf {shown(path)}"):
                place = reference(structure)
                leaves[path] = _leaf.decode(structure, reader, budget) if place is None else leaves[paths[place]]
        if len(reader.rest()):
            raise ArtifactError("bytes are left after the last leaf; the file is damaged")
    return Contents(manifest, leaves, extras)


def write(path: str | os.PathLike[str], leaves: Mapping[str, Any], *, store: bool = True, **options: Any) -> Manifest:
    """Writes an artifact atomically, leaf by leaf: what is written is not in memory.

    Args:
        path: File to write or replace.
        leaves: As for `dumps`.
        store: Whether to write; False for processes that take part in making the leaves.
        **options: `metadata`, `extras`, `packed_bits`, as for `dumps`.

    Returns:
        The manifest of the file.

    Raises:
        ArtifactError: If a leaf cannot be stored, or the file cannot be written.

    Example:
        >>> import numpy as np, tempfile, os.path
        >>> path = os.path.join(tempfile.mkdtemp(), "w.cjx")
        >>> write(path, {"w": np.zeros(8)}).ledger.file_bytes == os.path.getsize(path)
        True
    """
    with _store.Sections(path) as sections:
        start = _frame.opening(*_packed(leaves, sections.append, **options), sections.lengths, sections.digests)
        length = len(start) + sum(sections.lengths) + _frame.DIGEST_BYTES
        with translated(str(path)):  # before anything is written: what readers refuse is not
            manifest = described(_frame.head(memoryview(start), Budget(None, length)))
        if store:
            _store.store(path, _frame.sealed(itertools.chain([start], sections)))
    return manifest


def read(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Contents:
    """Reads an artifact with NumPy and constriction only; see `loads`.

    Args:
        path: File to read.
        max_bytes: Limit on the bytes of decoded arrays; by default 1 GiB plus 256 times the length of the file.

    Returns:
        Manifest, leaves as specs of NumPy arrays, extras.

    Raises:
        ArtifactError: If the file cannot be read or is not intact.

    Example:
        >>> import numpy as np, tempfile, os.path
        >>> path = os.path.join(tempfile.mkdtemp(), "w.cjx")
        >>> _ = write(path, {"w": np.arange(4)})
        >>> read(path).leaves["w"].tolist()
        [0, 1, 2, 3]
    """
    return loads(_store.load(path), max_bytes=max_bytes, name=str(path))


def inspect(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Manifest:
    """Reads the manifest of a file and verifies its checksums, without decoding the leaves.

    Args:
        path: File to read.
        max_bytes: Limit on the memory of the manifest, as for `loads`.

    Returns:
        The manifest.

    Raises:
        ArtifactError: If the file cannot be read or is not intact.

    Example:
        >>> import numpy as np, tempfile, os.path
        >>> path = os.path.join(tempfile.mkdtemp(), "w.cjx")
        >>> _ = write(path, {"w": np.arange(4)}, metadata={"seed": 1})
        >>> inspect(path).metadata
        {'seed': 1}
    """
    return _manifest_of(_store.load(path), str(path), max_bytes)


def _manifest_of(data: Buffer, name: str, max_bytes: int | None = None) -> Manifest:
    frame = _frame.parse(data, name, Budget(max_bytes, len(data)))
    with translated(name):
        return described(frame)


def described(frame: _frame.Frame | _frame.Head) -> Manifest:
    """Checks the manifest's tables and derives the ledger from them."""
    metadata, leaves = frame.manifest.get("metadata"), frame.manifest.get("leaves")
    if not isinstance(metadata, dict) or not isinstance(leaves, list):
        raise ArtifactError("the manifest lacks its tables; the file is damaged")
    structures: dict[str, Any] = {}
    rows: list[LedgerRow] = []
    for entry in leaves:
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)) or entry[0] in structures:
            raise ArtifactError(f"leaf entry {shown(entry)} is not a unique path with a structure; the file is damaged")
        path, structure, bits = entry
        if len(path) > PATH:
            raise ArtifactError(f"the path {shown(path)} is longer than {PATH} characters; the file is damaged")
        with translated(f"the description of leaf {shown(path)}"):
            rows.append(_row(path, structure, None if bits is None else checked_count(bits), rows))
        structures[path] = structure
    names = extra_table(frame)
    rest = dict(frame.overhead)
    for (name, _), length in zip(names, frame.lengths[len(frame.lengths) - len(names) :], strict=True):
        rest[name] = rest.get(name, 0) + length
    ledger = Ledger(tuple(rows), rest)
    if ledger.file_bytes != sum(frame.overhead.values()) + sum(frame.lengths):
        raise ArtifactError("the ledger's rows do not add up to the file's length; the file is damaged")
    return Manifest(frame.manifest["format"], metadata, ledger, structures)


def _row(path: str, structure: Any, bits: int | None, rows: list[LedgerRow]) -> LedgerRow:
    if (place := reference(structure)) is None:
        _leaf.check(structure)
        return ledgers.row(path, structure, sum(array[3] for array in ledgers.arrays(structure)), bits)
    if not 0 <= place < len(rows):
        raise ArtifactError(f"it is the same as leaf {shown(place)}, which is not before it; the file is damaged")
    packed = None if bits is None else -(-bits // 8)
    return rows[place]._replace(path=path, packed_bytes=packed, file_bytes=0, codecs=("shared",))


def reference(structure: Any) -> int | None:
    """Number of the earlier leaf that a structure refers to; None if it has arrays of its own."""
    if isinstance(structure, dict) and list(structure) == ["r"] and type(structure["r"]) is int:
        return structure["r"]
    return None


def extra_table(frame: _frame.Frame | _frame.Head) -> list[tuple[str, int]]:
    """Names and sizes of the extra sections, which are the last ones."""
    extras = frame.manifest.get("extras")
    if not isinstance(extras, list) or len(extras) > len(frame.lengths):
        raise ArtifactError("the manifest's table of extra sections is not a table; the file is damaged")
    for entry in extras:
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise ArtifactError(f"extra section {shown(entry)} is not a name with a size; the file is damaged")
    return [(name, checked_count(size)) for name, size in extras]


def _extras(frame: _frame.Frame, budget: _leaf.Budget) -> dict[str, bytes]:
    out, table = {}, extra_table(frame)
    for (name, size), section in zip(table, frame.sections[len(frame.sections) - len(table) :], strict=True):
        budget.spend(size, f"extra section {shown(name)}")
        out[name] = bytes(section) if len(section) == size else _table.inflate(section, size)
    return out
