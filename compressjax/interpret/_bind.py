"""Running one equation as it is, under the settings it was traced with."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax


def bind(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Runs one equation as it is.

    Args:
        eqn: A jaxpr equation.
        inputs: Its operands, dense.

    Returns:
        List of its results.

    Example:
        >>> eqn = jax.make_jaxpr(jax.numpy.sin)(0.0).eqns[0]
        >>> float(bind(eqn, [0.0])[0])
        0.0
    """
    out = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


@contextlib.contextmanager
def context(eqn: Any) -> Iterator[None]:
    """The settings under which an equation was traced, and its named scopes, for profiles and HLO metadata.

    Args:
        eqn: A jaxpr equation.

    Yields:
        Nothing; use it around whatever stands for the equation.

    Example:
        >>> with context(jax.make_jaxpr(jax.numpy.sin)(0.0).eqns[0]):
        ...     float(jax.numpy.sin(0.0))
        0.0
    """
    scope = str(eqn.source_info.name_stack)
    with eqn.ctx.manager, jax.named_scope(scope) if scope else contextlib.nullcontext():
        yield
