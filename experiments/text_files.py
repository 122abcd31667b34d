"""Texts from files, and tables about their sizes, without flags."""

import gzip
import lzma
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any


def read(name: str, limit: int, flag: str = "--files") -> bytes:
    """The first bytes of a text, which may be gzipped.

    Args:
        name: of the file.
        limit: bytes that are kept.
        flag: that names the file, for messages.

    Raises:
        ValueError: If it cannot be read or is empty.
    """
    try:
        data = pathlib.Path(name).read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{flag}: {name} cannot be read ({reason}); name texts, such as that of `apt-get install "
                         "dict-foldoc`, /usr/share/dictd/foldoc.dict.dz") from error  # fmt: skip
    if not data:
        raise ValueError(f"{flag}: {name} is empty; name a text")
    return data[:limit]


def xz(data: bytes) -> bytes:
    """The bytes as `xz -9e` packs them."""
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows of texts and numbers as Markdown, the first column to the left.

    Example:
        >>> print(table([{"text": "a", "bytes": 1234, "bits": 1.5}], ("text", "bytes", "bits")), end="")
        | text | bytes | bits |
        |---|---:|---:|
        | a | 1,234 | 1.500 |
    """
    lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in rows)]) + "\n"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
