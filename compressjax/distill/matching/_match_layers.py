"""Pairs of layers in order: evenly, or by how similar they are."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from compressjax.distill._pairs import examples
from compressjax.distill.matching._cka import gram


def even_layers(student: Iterable[str], teacher: Iterable[str]) -> dict[str, str]:
    """Returns pairs of layers at even distances, of which the last is the last layer of both.

    .. math:: g(i) = \\lceil i\\, m / n \\rceil, \\quad i = 1, ..., n

    Args:
        student: Names of the `n` layers of the student, in order.
        teacher: Names of the `m` layers of the teacher, at least as many.

    Returns:
        `{layer of the student: layer of the teacher}`.

    Raises:
        ValueError: If the teacher has fewer layers, or there are none.

    Example:
        >>> even_layers(["a", "b"], ["1", "2", "3", "4"])
        {'a': '2', 'b': '4'}

    Source: Jiao et al., arXiv:1909.10351 (jiao2019).
    """
    own, its = _counted("even_layers", student, teacher)
    return {name: its[-(-(i + 1) * len(its) // len(own)) - 1] for i, name in enumerate(own)}


def match_layers(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> dict[str, str]:
    """Returns pairs of layers that are most similar together, in the order of both networks.

    .. math:: \\max_{g(1) < ... < g(n)} \\sum_i CKA(s_i, t_{g(i)})

    by a dynamic program, exactly. Runs on the host, once, before training.

    Args:
        student: `{layer: [batch, ...]}` in the order of the network, as from `taps`.
        teacher: The same of the teacher on the same batch, at least as many layers.

    Returns:
        `{layer of the student: layer of the teacher}`, each layer of the teacher at most once.

    Raises:
        ValueError: If the teacher has fewer layers, batches differ, or activations of a layer are not finite.

    Example:
        >>> import jax
        >>> a, b, c = jax.random.normal(jax.random.key(0), (3, 8, 4))
        >>> match_layers({"x": 2 * a, "y": c + 1}, {"p": a, "q": b, "r": c})
        {'x': 'p', 'y': 'r'}

    Source: Kornblith et al., arXiv:1905.00414 (kornblith2019).
    """
    own, its = _counted("match_layers", student, teacher)
    first = student[own[0]]
    flat = []
    for side, layers in (("student", student), ("teacher", teacher)):
        if lost := [name for name, x in layers.items() if not np.isfinite(np.asarray(x, np.float32)).all()]:
            raise ValueError(f"match_layers: layer {lost[0]!r} of the {side} has NaN or infinity among its "
                             "activations; take weights that have not diverged, and finite inputs")  # fmt: skip
        pairs = [examples("match_layers", x, first, None, least=2) for x in layers.values()]
        flat.append(np.stack([np.asarray(gram(x, weights)) for x, _, weights in pairs]))
    return {own[i]: its[j] for i, j in enumerate(_best(flat[0] @ flat[1].T))}


def _best(gains: np.ndarray) -> list[int]:
    """For every row, its column: strictly increasing, with the largest sum."""
    rows, columns = gains.shape
    total = np.full((rows + 1, columns + 1), -np.inf)
    total[0] = 0.0
    for i in range(1, rows + 1):
        for j in range(i, columns + 1):
            total[i, j] = max(total[i, j - 1], total[i - 1, j - 1] + gains[i - 1, j - 1])
    found, j = [], columns
    for i in range(rows, 0, -1):
        while total[i, j] == total[i, j - 1]:
            j -= 1
        j -= 1
        found.append(j)
    return found[::-1]


def _counted(who: str, student: Iterable[str], teacher: Iterable[str]) -> tuple[list[str], list[str]]:
    own, its = list(student), list(teacher)
    if not own or len(own) > len(its):
        raise ValueError(
            f"{who}: {len(own)} layers of the student and {len(its)} of the teacher; give at least one, and no more "
            "than the teacher has"
        )
    return own, its
