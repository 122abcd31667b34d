"""The order of the data: a function of seed, stage and step, so that resumed runs read the same data."""

import functools
import hashlib

import numpy as np


def batch_indices(seed: int, stage: str, first: int, count: int, batch: int, examples: int) -> np.ndarray:
    """Rows of the batches of steps `first .. first + count - 1`.

    Each epoch is a permutation of the examples; the last, incomplete batch of an epoch is dropped.

    Args:
        seed: of the run.
        stage: name of the stage; each has its own order.
        first: first step, from 0.
        count: number of steps.
        batch: examples per step, at most `examples`.
        examples: size of the training set.

    Returns:
        `[count, batch]`, int32.

    Raises:
        ValueError: when the batch is larger than the training set.

    Example:
        >>> batch_indices(0, "train", 0, 3, 2, 6).shape
        (3, 2)
    """
    if not 1 <= batch <= examples:
        raise ValueError(f"batch={batch} must be between 1 and the {examples} training examples")
    per_epoch = examples // batch
    rows = np.empty((count, batch), np.int32)
    for i, step in enumerate(range(first, first + count)):
        epoch, place = divmod(step, per_epoch)
        rows[i] = _permutation(seed, stage, epoch, examples)[place * batch : (place + 1) * batch]
    return rows


def drawn_rows(seed: int, count: int, examples: int) -> np.ndarray:
    """Some rows of a data set in random order, a function of the seed: of more rows, the first are the same ones.

    Example:
        >>> drawn_rows(0, 2, 9).tolist() == drawn_rows(0, 5, 9).tolist()[:2]
        True
    """
    return np.random.default_rng(seed).permutation(examples)[:count]


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, stage: str, epoch: int, examples: int) -> np.ndarray:
    key = hashlib.sha256(f"{seed}/{stage}/{epoch}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))
    return generator.permutation(examples).astype(np.int32)
