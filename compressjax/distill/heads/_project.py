"""Linear heads between activations of different widths."""

from collections.abc import Mapping
from typing import Any

import jax

from compressjax.distill.features._linear import init_linear, linear


def init_project(
    key: jax.Array, student: Mapping[str, Any], teacher: Mapping[str, Any], pairs: Mapping[str, str] | None = None
) -> dict[str, dict[str, jax.Array]]:
    """Returns a linear map for every activation of a student whose width differs from its teacher's.

    .. math:: r(s) = s W + b, \\quad W_{ij} \\sim N(0, 1 / d_{student})

    Any optimizer trains the maps with the student; afterwards they are dropped.

    Args:
        key: Random key.
        student: `{path: [..., features]}`, arrays or shapes, as from `jax.eval_shape` of `taps`.
        teacher: The same of the teacher.
        pairs: `{path of the student: path of the teacher}`, as from `match_layers`; None if paths are the same.

    Returns:
        `{path of the student: {"kernel", "bias"}}`, float32; without paths of the same width.

    Raises:
        ValueError: If a path does not exist.

    Example:
        >>> import jax.numpy as jnp
        >>> student, teacher = {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 5))}, {"a": jnp.ones((2, 5))}
        >>> heads = init_project(jax.random.key(0), student, teacher, {"a": "a", "b": "a"})
        >>> {path: head["kernel"].shape for path, head in heads.items()}
        {'a': (3, 5)}

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """
    pairs = {path: path for path in student} if pairs is None else pairs
    heads = {}
    for i, (own, its) in enumerate(pairs.items()):
        for side, path, known in (("student", own, student), ("teacher", its, teacher)):
            if path not in known:
                raise ValueError(f"init_project: the {side} has no {path!r}; it has {sorted(known)[:12]}")
        sizes = student[own].shape[-1], teacher[its].shape[-1]
        if sizes[0] != sizes[1]:
            heads[own] = init_linear("init_project", jax.random.fold_in(key, i), *sizes)
    return heads


def project(params: Mapping[str, Mapping[str, Any]], student: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Returns the activations of a student through their linear maps; those without a map stay as they are.

    .. math:: r(s) = s W + b

    Args:
        params: From `init_project`.
        student: `{path: [..., features]}`.

    Returns:
        `{path: [..., features of the teacher]}`; float32 where there is a map.

    Raises:
        ValueError: If a map has no activation, or does not fit it.

    Example:
        >>> import jax.numpy as jnp
        >>> head = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}}
        >>> project(head, {"a": jnp.ones(2), "b": jnp.ones(2)})["a"].tolist()
        [2.0, 2.0, 2.0]

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """
    if missing := sorted(set(params) - set(student)):
        raise ValueError(f"project: there are maps of {missing}, but activations of {sorted(student)[:12]}")
    return {path: linear("project", x, dict(params[path])) if path in params else x for path, x in student.items()}
