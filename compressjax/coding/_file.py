"""Reads and writes artifact files: leaf specs by path, with metadata, a ledger, and extra sections of bytes."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from compressjax.coding import _frame, _leaf, _table
from compressjax.coding import _ledger as ledgers
from compressjax.coding._bits import Reader
from compressjax.coding._errors import ArtifactError
from compressjax.coding._ledger import Ledger

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
        leaves: `{path: spec}`; a spec is a NumPy array, `Bits`, or `{"node", "meta", "fields"}` of specs.
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
    entries, sections, current = [], [], []
    for path, spec in leaves.items():
        try:
            structure, payload = _leaf.encode(spec)
        except ArtifactError as error:
            raise ArtifactError(f"leaf {path!r}: {error}") from error
        entries.append([path, structure, (packed_bits or {}).get(path)])
        current.append(payload)
        if sum(map(len, current)) >= _SECTION:
            sections.append(b"".join(current))
            current = []
    if any(current):
        sections.append(b"".join(current))
    described = []
    for name, data in (extras or {}).items():
        deflater = zlib.compressobj(9, wbits=-15)
        deflated = deflater.compress(data) + deflater.flush()
        described.append([name, len(data)])
        sections.append(deflated if len(deflated) < len(data) else data)
    return _frame.build({"metadata": dict(metadata or {}), "leaves": entries, "extras": described}, sections)


def loads(data: bytes, *, max_bytes: int | None = None, name: str = "artifact") -> Contents:
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
    frame = _frame.parse(data, name)
    budget = _leaf.Budget(2**30 + 256 * len(data) if max_bytes is None else max_bytes)
    try:
        manifest = _described(frame)
        extras = _extras(frame, budget)
        reader = Reader(b"".join(frame.sections[: len(frame.sections) - len(extras)]))
        leaves = {path: _decode(path, structure, reader, budget) for path, structure in manifest.structures.items()}
        if reader.rest():
            raise ArtifactError("bytes are left after the last leaf; the file is damaged")
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error
    return Contents(manifest, leaves, extras)


def write(path: str | os.PathLike[str], leaves: Mapping[str, Any], **options: Any) -> Manifest:
    """Writes an artifact atomically.

    Args:
        path: File to write or replace.
        leaves: As for `dumps`.
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
    data = dumps(leaves, **options)
    _frame.store(path, data)
    return _describe(_frame.parse(data, str(path)), str(path))


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
    return loads(_frame.load(path), max_bytes=max_bytes, name=str(path))


def inspect(path: str | os.PathLike[str]) -> Manifest:
    """Reads the manifest of a file and verifies its checksums, without decoding the leaves.

    Args:
        path: File to read.

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
    return _describe(_frame.parse(_frame.load(path), str(path)), str(path))


def _decode(path: str, structure: Any, reader: Reader, budget: _leaf.Budget) -> Any:
    try:
        return _leaf.decode(structure, reader, budget)
    except ArtifactError as error:
        raise ArtifactError(f"leaf {path!r}: {error}") from error


def _describe(frame: _frame.Frame, name: str) -> Manifest:
    try:
        return _described(frame)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def _described(frame: _frame.Frame) -> Manifest:
    """Checks the manifest's tables and derives the ledger from them."""
    metadata, leaves = frame.manifest.get("metadata"), frame.manifest.get("leaves")
    if not isinstance(metadata, dict) or not isinstance(leaves, list):
        raise ArtifactError("the manifest lacks its tables; the file is damaged")
    structures, rows = {}, []
    for entry in leaves:
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)) or entry[0] in structures:
            raise ArtifactError(
                f"leaf entry {str(entry)[:80]} is not a unique path with a structure; the file is damaged"
            )
        path, structure, bits = entry
        structures[path] = structure
        try:
            lengths = [_leaf.checked_count(array[3]) for array in ledgers.arrays(structure)]
            rows.append(ledgers.row(path, structure, sum(lengths), None if bits is None else _leaf.checked_count(bits)))
        except (KeyError, IndexError, TypeError, AttributeError, StopIteration, ValueError, RecursionError) as error:
            raise ArtifactError(
                f"the description of leaf {path!r} is not valid in this version; the file is damaged"
            ) from error
    names = _extra_table(frame)
    rest = dict(frame.overhead)
    for (name, _), section in zip(names, frame.sections[len(frame.sections) - len(names) :], strict=True):
        rest[name] = rest.get(name, 0) + len(section)
    ledger = Ledger(tuple(rows), rest)
    if ledger.file_bytes != sum(frame.overhead.values()) + sum(map(len, frame.sections)):
        raise ArtifactError("the ledger's rows do not add up to the file's length; the file is damaged")
    return Manifest(frame.manifest["format"], metadata, ledger, structures)


def _extra_table(frame: _frame.Frame) -> list[tuple[str, int]]:
    extras = frame.manifest.get("extras")
    if not isinstance(extras, list) or len(extras) > len(frame.sections):
        raise ArtifactError("the manifest's table of extra sections is not a table; the file is damaged")
    for entry in extras:
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise ArtifactError(f"extra section {str(entry)[:80]} is not a name with a size; the file is damaged")
    return [(name, _leaf.checked_count(size)) for name, size in extras]


def _extras(frame: _frame.Frame, budget: _leaf.Budget) -> dict[str, bytes]:
    out, table = {}, _extra_table(frame)
    for (name, size), section in zip(table, frame.sections[len(frame.sections) - len(table) :], strict=True):
        budget.spend(size, f"extra section {name!r}")
        out[name] = section if len(section) == size else _table.inflate(section, size)
    return out
