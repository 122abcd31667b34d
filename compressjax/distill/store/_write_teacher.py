"""A teacher's distributions on disk, for writing: once, and resumed after a kill."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import coding
from compressjax.coding._lock import Lock
from compressjax.core._digest import digest_of, digest_of_text
from compressjax.core._settings import as_int, numbers
from compressjax.distill.store._about import HEAD, About, Part, append, begin, mend, put, read_about
from compressjax.distill.store._background import Background, fit_background, normalized
from compressjax.distill.store._positions import correct, corrected, packed
from compressjax.distill.store._teacher_store import TeacherStore, check_size, name_of, opened, same

# Masked classes have huge negative logits; the background keeps float16, which ends at -65504.
_LEAST = np.float32(-1e4)
# How far the answers to a part of a batch may be from those to all of it, in nats, besides rounding.
_NEAR = 0.01


def write_teacher(
    teacher: Callable[[Any, Any], jax.Array],
    params: Any,
    batches: Sequence[Any],
    folder: str | os.PathLike[str],
    *,
    step: float = 0.25,
    cut: float = 3e-4,
    top: int = 256,
    components: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> TeacherStore:
    """Runs a teacher over batches once, and writes its distributions to disk, entropy-coded.

    .. math:: \\log q_i = b_i + s + \\begin{cases} \\Delta\\, l_i & i \\in K \\\\ 0 & \\text{else} \\end{cases} + const,
        \\qquad K = \\{i : p_i |\\log p_i - b_i - s| > c\\}

    with a background `b` (mean of the first batch, and `components` directions in which its logits vary), a factor `s`
    a position, and corrections `l` in steps. Rounding costs about `step ** 2 / 24` nats; every token that is left out
    costs at most `cut`.

    A batch is one file, written as a whole, and a line in a journal. What is on disk already is not computed again: the
    teacher is called for missing or damaged files only. One process writes at a time.

    Args:
        teacher: `(params, batch) -> logits [*positions, vocabulary]`, in inference mode.
        params: Of the teacher; their digest names it.
        batches: A sequence of arrays or trees of arrays, the inputs in the order of training; the first one should
            hold a few hundred positions, more than `components`.
        folder: Where the files go.
        step: Of the corrections, in nats, above 0.
        cut: Least contribution of a correction, in nats, above 0.
        top: Largest number of corrections of a position, at least 0.
        components: Directions of the background, at least 0. For a linear head with `d` inputs, `d` directions are
            exact; they are stored once, in `2 d vocabulary` bytes.
        progress: Called with the number of finished batches and of all.

    Returns:
        The store; see `bytes_per_position` and `divergence`.

    Raises:
        ValueError: If a setting is out of range, the teacher is in training mode (it answers otherwise when it sees
            half of a batch), logits are not finite, another process writes the folder, or the folder is damaged or
            holds another teacher, other data or other settings.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> batches = [jnp.arange(6.0).reshape(3, 2), jnp.ones((3, 2))]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = write_teacher(lambda w, x: x @ w, jnp.eye(2, 5), batches, folder)
        ...     store.positions, store.log_probabilities(1).shape, store.divergence < 0.01
        (6, (3, 5), True)

    Source: top tokens as targets: Tan et al., arXiv:1902.10461 (tan2019).
    """
    step, cut = numbers("write_teacher", step=step, cut=cut)
    top, components = as_int("write_teacher", "top", top), as_int("write_teacher", "components", components)
    if step <= 0 or cut <= 0 or top < 0 or components < 0 or not len(batches):
        raise ValueError(f"write_teacher: step={step} and cut={cut} must be above 0, top={top} and components="
                         f"{components} at least 0, and batches at least one, not {len(batches)}")  # fmt: skip
    settings = {"step": step, "cut": cut, "top": top, "components": components}
    place = Path(folder)
    lock = Lock(place / ".lock")
    if not lock.acquire():
        raise ValueError(f"write_teacher: {place} is being written by {lock.owner()}; wait for it, or choose another "
                         "folder")  # fmt: skip
    try:
        place.mkdir(parents=True, exist_ok=True)
        return _write_all(_Teacher.of(teacher, params, batches[0]), batches, place, settings, progress)
    finally:
        lock.release()


class _Teacher(NamedTuple):
    """A teacher with its weights.

    Attributes:
        run: `(params, batch) -> logits`.
        params: Its weights.
        function: Digest of its trace, without addresses of Python objects.
        rounding: Relative rounding of the coarsest numbers that it computes with.
    """

    run: Callable[[Any, Any], jax.Array]
    params: Any
    function: str
    rounding: float

    @classmethod
    def of(cls, teacher: Callable[[Any, Any], jax.Array], params: Any, batch: Any) -> "_Teacher":
        """Traces the teacher on one batch."""
        closed = jax.make_jaxpr(teacher)(params, batch)
        text = str(closed.jaxpr)
        coarse = [t for name, t in (("bf16", jnp.bfloat16), ("f16", jnp.float16)) if re.search(rf"\b{name}\[", text)]
        rounding = max(float(jnp.finfo(t).eps) for t in (*coarse, jnp.float32))
        return cls(jax.jit(teacher), params, digest_of_text([text, digest_of(list(closed.consts))]), rounding)

    def logits(self, batch: Any, number: int) -> np.ndarray:
        """Logits in float32, checked."""
        found = np.array(self.run(self.params, batch), np.float32)
        if not np.isfinite(found).all() or found.ndim < 2 or not found.size:
            raise ValueError(f"write_teacher: logits {found.shape} of batch {number} must be finite and [*positions, "
                             "vocabulary]; mask classes with large negative numbers instead of -inf")  # fmt: skip
        return found


def _write_all(
    teacher: _Teacher, batches: Sequence[Any], place: Path, settings: dict[str, Any],
    progress: Callable[[int, int], Any] | None,
) -> TeacherStore:  # fmt: skip
    """Writes what is missing."""
    wanted = About(settings, digest_of(teacher.params), teacher.function, tuple(map(digest_of, batches)), "", {})
    held = read_about(place)
    if held is not None:
        for name in ("settings", "teacher", "function", "data"):
            same(place, name, getattr(held, name), getattr(wanted, name))
    if held is None or not _intact(place / HEAD, held.background):
        found = _fitted(teacher, batches[0], settings)
        held = wanted._replace(background=put(place / HEAD, coding.dumps(found._asdict())))
        begin(place, held)
    mend(place)
    background = opened(place, held).background
    for i, batch in enumerate(batches):
        if i not in held.parts or not _intact(place / name_of(i), held.parts[i].sha256):
            log_p = _log_probabilities(teacher.logits(batch, i))
            held.parts[i] = _write(place, i, log_p, background, settings)
            append(place, i, held.parts[i])
        if progress is not None:
            progress(i + 1, len(batches))
    return TeacherStore(place, held, background)


def _fitted(teacher: _Teacher, batch: Any, settings: dict[str, Any]) -> Background:
    """The background of the first batch."""
    logits = teacher.logits(batch, 0)
    _check_inference(teacher, batch, logits)
    log_p = _log_probabilities(logits).reshape(-1, logits.shape[-1])
    if settings["components"] >= len(log_p):
        raise ValueError(f"write_teacher: components={settings['components']} needs a first batch of more positions "
                         f"than its {len(log_p)}")  # fmt: skip
    return fit_background(log_p, settings["components"], settings["step"])


def _check_inference(teacher: _Teacher, batch: Any, logits: np.ndarray) -> None:
    """Refuses a teacher in training mode: BatchNorm and dropout answer otherwise when they see half of a batch.

    Another size of a batch may be computed in another order, so answers differ by rounding: at most by some units of
    the last place of the logits, and by less than one on average.
    """
    length = len(logits)
    if length < 2 or any(np.shape(x)[:1] != (length,) for x in jax.tree.leaves(batch)):
        return
    # The second half, because random bits of the first one may be those of the whole.
    half, rest = teacher.logits(jax.tree.map(lambda x: x[length // 2 :], batch), 0), logits[length // 2 :]
    differs = half.shape != rest.shape
    if not differs:
        log_p = _log_probabilities(rest.copy())
        off = np.abs(_log_probabilities(half) - log_p)
        unit = teacher.rounding * (np.abs(rest) + np.abs(rest.max(-1, keepdims=True)))
        p = np.exp(log_p)
        mean, allowed = ((p * x).sum(-1).mean() for x in (off, unit))
        differs = bool((off > _NEAR + 8 * unit).any() or mean > _NEAR + allowed)
    if differs:
        raise ValueError(
            "write_teacher: the answers of the teacher to half of the first batch differ from those to all "
            "of it: it is in training mode (BatchNorm, dropout) or mixes examples; switch it to inference"
        )


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log probabilities of logits, whose array is reused."""
    found = normalized(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)
    return np.maximum(found, _LEAST)


def _write(place: Path, batch: int, log_p: np.ndarray, background: Background, settings: dict[str, Any]) -> Part:
    """Writes one batch."""
    flat = log_p.reshape(-1, log_p.shape[-1])
    part = Part(len(flat), log_p.shape[:-1], 0.0, "")
    check_size(place, batch, part, flat.shape[1])
    if flat.shape[1] != len(background.mean):
        raise ValueError(f"write_teacher: batch {batch} has logits of {flat.shape[1]} tokens, and the first one of "
                         f"{len(background.mean)}; give batches of one vocabulary")  # fmt: skip
    coefficients = background.coefficients(flat)
    expanded = background.expand(coefficients)
    chosen = {name: settings[name] for name in ("step", "cut", "top")}
    found = correct(flat, expanded, background.rank, **chosen)
    stored = corrected(expanded, found, settings["step"])
    divergence = float((np.exp(flat) * (flat - stored)).sum(1, dtype=np.float64).mean())
    leaves = {"coefficients": coefficients, **packed(found, background.rank)}
    return part._replace(divergence=divergence, sha256=put(place / name_of(batch), coding.dumps(leaves)))


def _intact(place: Path, sha: str) -> bool:
    return place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == sha
