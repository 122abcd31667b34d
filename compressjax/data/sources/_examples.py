"""Batches of examples that come one by one, as from tensorflow-datasets and grain."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from compressjax.core._settings import as_int
from compressjax.data.sources._tables import Batches


def example_batches(
    examples: Any, rows: str | int, *, labels: str | int | None = None, size: int = 1024
) -> Batches:  # fmt: skip
    """Returns a source that stacks a part of examples to rows, flat.

    .. math:: X = (vec(e_1), \\dots, vec(e_n))^\\top

    Works for `as_data_source` of tensorflow-datasets, for datasets of grain, and for any sequence or re-iterable of
    dicts or tuples.

    Args:
        examples: With `__len__` and `__getitem__`, or with an `__iter__` that starts anew.
        rows: Key or place of the part that becomes a row, an array of any shape.
        labels: That of the label, a number; batches are then pairs.
        size: Most rows in a batch, at least 1.

    Returns:
        Source for `fit`.

    Raises:
        ValueError: While it is read: if an example lacks a part, or parts differ in shape; the example is named.

    Example:
        >>> examples = [{"image": np.ones((2, 2)), "label": 1}, {"image": np.zeros((2, 2)), "label": 0}]
        >>> x, y = next(iter(example_batches(examples, "image", labels="label")))
        >>> x.shape, y.tolist()
        ((2, 4), [1, 0])
    """
    who = "example_batches"
    if as_int(who, "size", size) < 1:
        raise ValueError(f"{who}: size={size} must be at least 1")

    def part(example: Any, key: str | int, number: int) -> np.ndarray:
        try:
            return np.asarray(example[key])
        except (KeyError, IndexError, TypeError) as error:
            has = sorted(example) if isinstance(example, Mapping) else type(example).__name__
            raise ValueError(f"{who}: example {number} has no part {key!r}; it has {has}") from error

    def stacked(group: list[Any], first: int) -> Any:
        found = [part(example, rows, first + i) for i, example in enumerate(group)]
        for i, x in enumerate(found):
            if x.shape != found[0].shape:
                raise ValueError(f"{who}: {rows!r} of example {first + i} has shape {x.shape}, that of example {first} "
                                 f"{found[0].shape}; bring them to one size first")  # fmt: skip
        x = np.stack(found).reshape(len(found), -1)
        if labels is None:
            return x
        return x, np.stack([part(example, labels, first + i) for i, example in enumerate(group)]).reshape(
            len(found), -1
        )[:, 0]

    def read() -> Iterator[Any]:
        seen = 0
        for group in _groups(examples, int(size)):
            yield stacked(group, seen)
            seen += len(group)

    return Batches(f"examples {type(examples).__name__}", read)


def _groups(examples: Any, size: int) -> Iterator[list[Any]]:
    """Lists of at most so many examples; sources of tensorflow-datasets read a list at once."""
    if hasattr(examples, "__getitems__"):
        for start in range(0, len(examples), size):
            yield list(examples.__getitems__(range(start, min(start + size, len(examples)))))
        return
    if not isinstance(examples, Iterable) and hasattr(examples, "__getitem__"):
        examples = (examples[i] for i in range(len(examples)))
    group: list[Any] = []
    for example in examples:
        group.append(example)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
