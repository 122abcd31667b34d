"""Running one equation as it is, under the settings it was traced with."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax


def bind(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Runs one equation as it is."""
    out = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


class Context:
    """The settings under which equations were traced, and their named scopes, for profiles and HLO metadata.

    One object serves all equations of a jaxpr, one after the other: neighbors mostly share their settings, and
    entering them anew for each would slow tracing down.

    Example:
        >>> with Context() as context:
        ...     context.enter(jax.make_jaxpr(jax.numpy.sin)(0.0).eqns[0])
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._now: tuple[Any, Any] | None = None

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def enter(self, eqn: Any) -> None:
        """Leaves the settings of the last equation and enters those of `eqn`, where they differ."""
        asked = (eqn.ctx, eqn.source_info.name_stack)
        if self._now is not None and asked[0] is self._now[0] and asked[1] == self._now[1]:
            return
        self._stack.close()
        self._stack.enter_context(eqn.ctx.manager)
        if scope := str(asked[1]):
            self._stack.enter_context(jax.named_scope(scope))
        self._now = asked
