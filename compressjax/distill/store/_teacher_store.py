"""A teacher's distributions on disk, for reading."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compressjax import coding
from compressjax.core._digest import digest_of
from compressjax.distill.store._about import ABOUT, HEAD, JOURNAL, MOST, About, Part, read_about
from compressjax.distill.store._background import Background, as_background
from compressjax.distill.store._positions import corrected, integers, unpacked


class Targets(NamedTuple):
    """The most probable tokens of some positions, for `sparse_target_loss`.

    Attributes:
        tokens: `[*positions, k]`, int32.
        log_probabilities: `[*positions, k]`, float32.
        rest: `[*positions]`, float32: log probability of all other tokens together.
    """

    tokens: np.ndarray
    log_probabilities: np.ndarray
    rest: np.ndarray


class TeacherStore(NamedTuple):
    """A store that is open for reading.

    Attributes:
        folder: Where it is.
        about: Its settings, digests, and what every file holds.
        background: What all positions share.
    """

    folder: Path
    about: About
    background: Background

    @property
    def positions(self) -> int:
        """How many positions it holds."""
        return sum(part.positions for part in self.about.parts.values())

    @property
    def bytes_per_position(self) -> float:
        """Bytes of all files, the shared background included, over the positions."""
        files = (HEAD, ABOUT, JOURNAL, *map(name_of, self.about.parts))
        return sum((self.folder / file).stat().st_size for file in files) / self.positions

    @property
    def divergence(self) -> float:
        """Mean KL divergence of what is stored from the teacher, in nats, measured while writing."""
        return sum(part.divergence * part.positions for part in self.about.parts.values()) / self.positions

    def log_probabilities(self, batch: int) -> np.ndarray:
        """Log probabilities of one batch, `[*positions, vocabulary]`, float32; the file's SHA-256 is compared."""
        if batch not in self.about.parts:
            raise ValueError(f"teacher store: batch {batch} is not among the {len(self.about.parts)} of {self.folder}")
        part, place = self.about.parts[batch], self.folder / name_of(batch)
        found = arrays_of(place, part.sha256)
        with damage(place):
            coefficients = integers(found, "coefficients", (part.positions, len(self.background.basis)))
            corrections = unpacked(found, self.background.tokens_of, part.positions)
            expanded = self.background.expand(coefficients)
            log_p = corrected(expanded, corrections, self.about.settings["step"])
            if not np.isfinite(log_p).all():
                raise ValueError("its numbers are not finite")
        return log_p.astype(np.float32).reshape(*part.shape, -1)

    def targets(self, batch: int, k: int) -> Targets:
        """The `k` most probable tokens of every position of one batch, `[*positions, k]`."""
        log_p = self.log_probabilities(batch)
        if not 1 <= k < log_p.shape[-1]:
            raise ValueError(f"teacher store: k={k} must be at least 1 and below the {log_p.shape[-1]} tokens")
        some = np.argpartition(-log_p, k, axis=-1)[..., :k]
        order = np.argsort(-np.take_along_axis(log_p, some, -1), axis=-1)
        tokens = np.take_along_axis(some, order, -1)
        kept = np.take_along_axis(log_p, tokens, -1)
        rest = np.log(np.maximum(1 - np.exp(kept.astype(np.float64)).sum(-1), 1e-12))
        return Targets(tokens.astype(np.int32), kept, rest.astype(np.float32))


def open_teacher(
    folder: str | os.PathLike[str], *, params: Any = None, batches: Sequence[Any] | None = None
) -> TeacherStore:
    """Opens a store, and checks that it is the one that is meant.

    Args:
        folder: Where it is.
        params: Of the teacher that should have written it; None does not check.
        batches: The data that it should hold; None does not check.

    Returns:
        The store.

    Raises:
        ValueError: If there is no whole store, it is damaged, or it is of another teacher or other data.

    Example:
        >>> open_teacher("nowhere")
        Traceback (most recent call last):
        ValueError: open_teacher: nowhere holds no store (no store.json); write one with write_teacher
    """
    place = Path(folder)
    about = read_about(place)
    if about is None:
        raise ValueError(f"open_teacher: {place} holds no store (no {ABOUT}); write one with write_teacher")
    if params is not None:
        same(place, "teacher", about.teacher, digest_of(params))
    if batches is not None:
        same(place, "data", about.data, tuple(map(digest_of, batches)))
    missing = len(about.data) - len(about.parts)
    if missing:
        raise ValueError(f"open_teacher: {place} lacks {missing} of {len(about.data)} batches; write_teacher with "
                         "the same arguments goes on")  # fmt: skip
    return opened(place, about)


def opened(place: Path, about: About) -> TeacherStore:
    """A store with its background, after a check that no batch needs unreasonable memory."""
    with damage(place / HEAD):
        background = as_background(arrays_of(place / HEAD, about.background), about.settings["components"])
    for batch, part in about.parts.items():
        check_size(place, batch, part, len(background.mean))
    return TeacherStore(place, about, background)


def check_size(place: Path, batch: int, part: Part, vocabulary: int) -> None:
    """Refuses a batch that needs unreasonable memory."""
    if part.positions * vocabulary > MOST:
        raise ValueError(f"teacher store: batch {batch} of {place} has {part.positions} positions of {vocabulary} "
                         f"tokens, more than {MOST} numbers; give smaller batches")  # fmt: skip


def same(place: Path, name: str, held: Any, wanted: Any) -> None:
    """Raises if a store was made from something else."""
    if held != wanted:
        what = {"settings": "was written with other settings", "teacher": "is of another teacher",
                "function": "is of another function with these parameters",
                "data": "is of other data"}[name]  # fmt: skip
        detail = f" ({held}, not {wanted})" if name == "settings" else ""
        raise ValueError(f"teacher store: {place} {what}{detail}; choose another folder, or delete this one")


def arrays_of(place: Path, sha: str) -> dict[str, np.ndarray]:
    """The arrays of a file whose SHA-256 is known."""
    data = place.read_bytes() if place.is_file() else b""
    if hashlib.sha256(data).hexdigest() != sha:
        raise ValueError(f"teacher store: {place} is missing or damaged: its SHA-256 is not that of the store; "
                         "write_teacher with the same arguments writes it again")  # fmt: skip
    leaves = coding.loads(data, name=str(place)).leaves
    return {name: x for name, x in leaves.items() if isinstance(x, np.ndarray)}


@contextlib.contextmanager
def damage(place: Path) -> Iterator[None]:
    """Names the file in which numbers do not fit together."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith("teacher store: "):
            raise
        raise ValueError(f"teacher store: {place}: {error}; the file is damaged, delete it and write again") from error


def name_of(batch: int) -> str:
    """The file of a batch."""
    return f"{batch:06}.cjx"
