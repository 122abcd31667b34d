"""Runs one equation unchanged, under the settings with which it was traced."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax


def bind(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Runs one equation unchanged."""
    out = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


class Context:
    """Settings under which equations were traced, and their named scopes for profiles and HLO metadata.

    One object serves all equations of a jaxpr in order. Consecutive equations mostly share their settings, and entering
    them for every equation would slow down tracing.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._now: tuple[Any, Any] | None = None

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def enter(self, eqn: Any) -> None:
        """Enters the settings of `eqn`, unless they are those of the last equation."""
        target = (eqn.ctx, eqn.source_info.name_stack)
        if self._now is not None and target[0] is self._now[0] and target[1] == self._now[1]:
            return
        self._stack.close()
        self._stack.enter_context(eqn.ctx.manager)
        if scope := str(target[1]):
            self._stack.enter_context(jax.named_scope(scope))
        self._now = target
