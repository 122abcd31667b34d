"""A student of bytes learns from a teacher of words: likelihoods of the same text, cut differently."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import distill, recipe
from experiments import app, limits, models
from experiments.datasets import batch_indices
from experiments.reproduce import language, resumed, texts
from experiments.reproduce.table import Claim

FIGURE = "bits per 1000 bytes"


class Rows(NamedTuple):
    """Rows of a text for the student.

    Attributes:
        bytes: `[n, length + 1]`, uint8.
        places: `[n, length]`, int32: the chunk of every predicted byte, or -1.
        likelihoods: `[n, words]`: of the teacher, for every word.
        chunks: `[n, words]`, int32: the chunk of every word, or -1.
    """

    bytes: np.ndarray
    places: np.ndarray
    likelihoods: np.ndarray
    chunks: np.ndarray


class Shared(NamedTuple):
    """The student's network, its rows with the teacher's likelihoods, held-out rows, and the checkpoints."""

    model: Any
    rows: Rows
    held: np.ndarray
    store: recipe.Store


def settings(config: Mapping[str, Any]) -> list[str]:
    """The student alone, and with the teacher."""
    del config
    return ["alone", "distilled"]


def prepare(launch: app.Launch) -> Shared:
    """Trains the teacher on all but the end of the text; the student has the first part of that alone."""
    config = launch.config
    for part in ("teaching", "training"):
        limits.check(config[part], resumed.LIMITS, f"--config.{part}.")
    text, own, held = texts.read(config["text"]).lower(), config["own_bytes"], config["held_bytes"]
    if not 0 < own <= len(text) - held:
        raise ValueError(f"--config.own_bytes={own} and held_bytes={held} do not fit the {len(text)} of the text")
    found = texts.words(text[: len(text) - held], config["vocabulary"])
    store, length = recipe.Store(launch.cache), config["teacher"]["length"]
    rows = texts.blocks(found.ids, length)
    teacher = models.create("gpt", {**config["teacher"], "vocabulary": len(found.vocabulary)})
    params = language.teacher(store, teacher, rows, config["teaching"], config["text"])
    count = int(np.searchsorted(found.ends, own)) // length
    likelihoods = scores(teacher, params, rows[:count])
    student = models.create("gpt", {**config["student"], "vocabulary": 128})
    size = config["student"]["length"]
    aligned = align(text[:own], found, likelihoods, size)
    ending = np.frombuffer(text[len(text) - held :].encode("ascii"), np.uint8)
    return Shared(student, aligned, texts.blocks(ending, size), store)


def scores(model: Any, params: Any, rows: np.ndarray) -> np.ndarray:
    """Log-likelihoods of all words of rows `[n, length + 1]` but the first, as one text."""

    @jax.jit
    def score(row: jax.Array) -> jax.Array:
        logits = model.apply(params, row[None, :-1])[0]
        return -optax.softmax_cross_entropy_with_integer_labels(logits, row[1:])

    return np.concatenate([np.zeros(1, np.float32), *(np.asarray(score(row)) for row in rows)])


def align(text: str, found: texts.Words, likelihoods: np.ndarray, length: int) -> Rows:
    """Chunks of text that words and bytes both cut, for rows of bytes.

    Args:
        text: The bytes of the student.
        found: The words of the teacher.
        likelihoods: Of its first words; the first one has none.
        length: Bytes that a row predicts.

    Returns:
        The rows; words outside of the vocabulary belong to no chunk.
    """
    spelled = texts.blocks(np.frombuffer(text.encode("ascii"), np.uint8), length)
    ends = found.ends[: len(likelihoods)]
    begins = np.concatenate([[0], ends[:-1]])
    known = (found.ids[: len(likelihoods)] != texts.UNKNOWN) & (np.arange(len(ends)) > 0)
    spans = []
    for i in range(len(spelled)):
        first, last = i * length + 1, (i + 1) * length + 1  # of the bytes that the row predicts
        mine = np.flatnonzero(known & (begins >= first) & (ends <= last))
        offsets = np.stack([np.arange(first, last), np.arange(first, last) + 1], axis=1)
        spans.append((mine, distill.align_spans(offsets, np.stack([begins[mine], ends[mine]], axis=1))))
    most = max(1, *(len(mine) for mine, _ in spans))
    padded = [np.pad(found.teacher, (0, most - len(mine)), constant_values=-1) for mine, found in spans]
    theirs = [np.pad(likelihoods[mine], (0, most - len(mine))) for mine, _ in spans]
    return Rows(spelled, np.stack([s.student for _, s in spans]), np.stack(theirs), np.stack(padded))


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one student and measures it on the end of the text."""
    model, rows, training = shared.model, shared.rows, config["training"]
    weight = config["weight"] if name == "distilled" else 0.0

    def draw(step: int) -> Rows:
        chosen = batch_indices(seed, "student", step, 1, training["batch"], len(rows.bytes))[0]
        return Rows(*(x[chosen] for x in rows))

    def loss(params: Any, fixed: Any, batch: Any) -> jax.Array:
        del fixed
        own = likelihoods(model, params, batch.bytes)
        if not weight:
            return -own.mean()
        spans = distill.span_loss(
            own, batch.likelihoods, batch.places, batch.chunks,
            chunks=rows.chunks.shape[1], temperature=config["temperature"],
        )  # fmt: skip
        return weight * spans - own.mean()

    start = jax.jit(model.init)(jax.random.key(seed), jnp.zeros((1, shared.held.shape[1] - 1), jnp.int32))
    named = recipe.digest({key: value for key, value in config.items() if key != "seeds"})[:16]
    params = resumed.train(shared.store, f"{name}-{named}-{seed}", start, loss, (), draw, training)
    score = jax.jit(lambda x: likelihoods(model, params, x).mean())
    size = training["batch"]
    parts = [float(score(shared.held[i : i + size])) for i in range(0, len(shared.held) - size + 1, size)]
    seen = [float(score(rows.bytes[i : i + size])) for i in range(0, len(parts) * size, size)][: len(parts)]
    found = {FIGURE: parts, "on its own text": seen}
    return {figure: float(-1000 * np.mean(values) / np.log(2)) for figure, values in found.items()}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The student with the teacher is better on text that neither has read."""
    del config
    return [Claim("distilled", "alone", None, 0.0, figure=FIGURE)]


def likelihoods(model: Any, params: Any, rows: jax.Array) -> jax.Array:
    """Log-likelihoods `[n, length]` of all bytes of rows but the first."""
    rows = rows.astype(jnp.int32)
    return -optax.softmax_cross_entropy_with_integer_labels(model.apply(params, rows[:, :-1]), rows[:, 1:])
