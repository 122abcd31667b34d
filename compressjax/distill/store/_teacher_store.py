"""A teacher's distributions on disk."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import coding
from compressjax.core._settings import as_int, numbers
from compressjax.distill.store._background import Background, fit_background, normalized
from compressjax.distill.store._positions import Corrections, correct, corrected, packed, unpacked

# Masked classes have huge negative logits; the background keeps float16, which ends at -65504.
_LEAST = np.float32(-1e4)
_HEAD, _ABOUT = "background.cjx", "store.json"


class Targets(NamedTuple):
    """The most probable tokens of some positions, for `sparse_target_loss`.

    Attributes:
        tokens: `[n, k]`, int32.
        log_probabilities: `[n, k]`, float32.
        rest: `[n]`, float32: log probability of all other tokens together.
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
    about: dict[str, Any]
    background: Background

    @property
    def positions(self) -> int:
        """How many positions it holds."""
        return sum(part["positions"] for part in self.about["parts"])

    @property
    def bytes_per_position(self) -> float:
        """Bytes of all files, the shared background included, over the positions."""
        files = [
            self.folder / _HEAD,
            self.folder / _ABOUT,
            *(self.folder / _name(i) for i in range(len(self.about["parts"]))),
        ]
        return sum(file.stat().st_size for file in files) / self.positions

    @property
    def divergence(self) -> float:
        """Mean KL divergence of what is stored from the teacher, in nats, measured while writing."""
        return sum(part["divergence"] * part["positions"] for part in self.about["parts"]) / self.positions

    def log_probabilities(self, batch: int) -> np.ndarray:
        """Log probabilities of one batch, `[*positions, vocabulary]`, float32."""
        if not 0 <= batch < len(self.about["parts"]):
            raise ValueError(
                f"teacher store: batch {batch} is not among the {len(self.about['parts'])} of {self.folder}"
            )
        found = _read(self.folder / _name(batch))
        expanded = self.background.expand(found["coefficients"])
        parts = unpacked(found, self.background.tokens_of)
        log_p = corrected(expanded, parts, self.about["settings"]["step"])
        return log_p.astype(np.float32).reshape(*self.about["parts"][batch]["shape"], -1)

    def targets(self, batch: int, k: int) -> Targets:
        """The `k` most probable tokens of every position of one batch, `[positions, k]`."""
        log_p = self.log_probabilities(batch)
        log_p = log_p.reshape(-1, log_p.shape[-1])
        if not 1 <= k < log_p.shape[1]:
            raise ValueError(f"teacher store: k={k} must be at least 1 and below the {log_p.shape[1]} tokens")
        some = np.argpartition(-log_p, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(log_p, some, 1), axis=1)
        tokens = np.take_along_axis(some, order, 1)
        kept = np.take_along_axis(log_p, tokens, 1)
        rest = np.log(np.maximum(1 - np.exp(kept.astype(np.float64)).sum(1), 1e-12))
        return Targets(tokens.astype(np.int32), kept, rest.astype(np.float32))


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

    A batch is one file, written as a whole. What is on disk already is not computed again: the teacher is called for
    missing or damaged files only.

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
            half of a batch), logits are not finite, or the folder holds another teacher, other data or other settings.

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
    place = Path(folder)
    settings = {"step": step, "cut": cut, "top": top, "components": components}
    function = _digest_of_function(teacher, params, batches[0])
    data = [digest(x) for x in batches]
    about = _begin(place, {"settings": settings, "teacher": digest(params), "function": function, "data": data})
    run = jax.jit(teacher)
    background = _background(place, about, run, params, batches[0], components, step)
    for i, batch in enumerate(batches):
        if i >= len(about["parts"]) or not _intact(place / _name(i), about["parts"][i]["sha256"]):
            part = _write(place / _name(i), _log_probabilities(run, params, batch, i), background, settings)
            about["parts"][i : i + 1] = [part]
            _put(place / _ABOUT, json.dumps(about).encode())
        if progress is not None:
            progress(i + 1, len(batches))
    return TeacherStore(place, about, background)


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
        ValueError: If there is no whole store, or it is of another teacher or other data.

    Example:
        >>> open_teacher("nowhere")
        Traceback (most recent call last):
        ValueError: open_teacher: nowhere holds no store (no store.json); write one with write_teacher
    """
    place = Path(folder)
    if not (place / _ABOUT).is_file():
        raise ValueError(f"open_teacher: {place} holds no store (no {_ABOUT}); write one with write_teacher")
    about = json.loads((place / _ABOUT).read_bytes())
    if params is not None:
        _same(place, "teacher", about["teacher"], digest(params))
    if batches is not None:
        _same(place, "data", about["data"], [digest(x) for x in batches])
    missing = len(about["data"]) - len(about["parts"])
    if missing:
        raise ValueError(f"open_teacher: {place} lacks {missing} of {len(about['data'])} batches; write_teacher with "
                         "the same arguments goes on")  # fmt: skip
    return TeacherStore(place, about, Background(**_read(place / _HEAD)))


def digest(tree: Any) -> str:
    """SHA-256 of a tree of arrays: structure, types, shapes and bytes."""
    found = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        x = np.asarray(leaf)
        found.update(f"{x.dtype.str} {x.shape}".encode())
        found.update(np.ascontiguousarray(x).tobytes())
    return found.hexdigest()


def _digest_of_function(teacher: Callable[..., Any], params: Any, batch: Any) -> str:
    """SHA-256 of the trace of the teacher, without addresses of Python objects."""
    closed = jax.make_jaxpr(teacher)(params, batch)
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(closed.jaxpr)).encode())
    for x in closed.consts:
        found.update(digest(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x).encode())
    return found.hexdigest()


def _begin(place: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The description of a new store, or of the one that is there already."""
    place.mkdir(parents=True, exist_ok=True)
    if not (place / _ABOUT).is_file():
        return {**wanted, "parts": []}
    held = json.loads((place / _ABOUT).read_bytes())
    for name in ("settings", "teacher", "function", "data"):
        _same(place, name, held.get(name), wanted[name])
    return held


def _same(place: Path, name: str, held: Any, wanted: Any) -> None:
    if held != wanted:
        what = {"settings": "was written with other settings", "teacher": "is of another teacher",
                "function": "is of another function with these parameters",
                "data": "is of other data"}[name]  # fmt: skip
        detail = f" ({held}, not {wanted})" if name == "settings" else ""
        raise ValueError(f"teacher store: {place} {what}{detail}; choose another folder, or delete this one")


def _background(
    place: Path, about: dict[str, Any], run: Callable[..., Any], params: Any, batch: Any, components: int, step: float
) -> Background:
    """The background on disk, or that of the first batch."""
    if _intact(place / _HEAD, about.get("background", "")):
        return Background(**_read(place / _HEAD))
    log_p = _log_probabilities(run, params, batch, 0)
    _check_inference(log_p, run, params, batch)
    flat = log_p.reshape(-1, log_p.shape[-1])
    if components >= len(flat):
        raise ValueError(
            f"write_teacher: components={components} needs a first batch of more positions than its {len(flat)}"
        )
    found = fit_background(flat, components, step)
    about["background"] = _put(place / _HEAD, coding.dumps(found._asdict()))
    about["parts"] = []
    return found


def _check_inference(log_p: np.ndarray, run: Callable[..., Any], params: Any, batch: Any) -> None:
    """Refuses a teacher in training mode: BatchNorm and dropout answer otherwise when they see half of a batch."""
    length = len(log_p)
    if length < 2 or any(np.shape(x)[:1] != (length,) for x in jax.tree.leaves(batch)):
        return
    # The second half, because random bits of the first one may be those of the whole.
    half = _log_probabilities(run, params, jax.tree.map(lambda x: x[length // 2 :], batch), 0)
    if half.shape != log_p[length // 2 :].shape or np.abs(half - log_p[length // 2 :]).max() > 0.01:
        raise ValueError(
            "write_teacher: the answers of the teacher to half of the first batch differ from those to all "
            "of it: it is in training mode (BatchNorm, dropout) or mixes examples; switch it to inference"
        )


def _log_probabilities(run: Callable[..., Any], params: Any, batch: Any, number: int) -> np.ndarray:
    logits = np.array(run(params, batch), np.float32)
    if not np.isfinite(logits).all() or logits.ndim < 2:
        raise ValueError(f"write_teacher: logits {logits.shape} of batch {number} must be finite and [*positions, "
                         "vocabulary]; mask classes with large negative numbers instead of -inf")  # fmt: skip
    found = normalized(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)
    return np.maximum(found, _LEAST)


def _write(place: Path, log_p: np.ndarray, background: Background, settings: dict[str, Any]) -> dict[str, Any]:
    """Writes one batch; returns its row of the description."""
    flat = log_p.reshape(-1, log_p.shape[-1])
    coefficients = background.coefficients(flat)
    expanded = background.expand(coefficients)
    chosen = {name: settings[name] for name in ("step", "cut", "top")}
    found: Corrections = correct(flat, expanded, background.rank, **chosen)
    leaves = {"coefficients": coefficients, **packed(found, background.rank)}
    stored = corrected(expanded, found, settings["step"])
    divergence = float((np.exp(flat) * (flat - stored)).sum(1, dtype=np.float64).mean())
    sha = _put(place, coding.dumps(leaves))
    return {"positions": len(flat), "shape": list(log_p.shape[:-1]), "divergence": divergence, "sha256": sha}


def _read(place: Path) -> dict[str, np.ndarray]:
    return dict(coding.read(place).leaves)


def _name(number: int) -> str:
    return f"{number:06}.cjx"


def _intact(place: Path, sha: str) -> bool:
    return place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == sha


def _put(place: Path, data: bytes) -> str:
    """Writes a file as a whole; returns its SHA-256."""
    draft = place.with_name(f".{place.name}.draft")
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, place)
    return hashlib.sha256(data).hexdigest()
