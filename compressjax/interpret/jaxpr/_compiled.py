"""Compiled calls of functions whose arguments may have leaves that are no arrays, such as functions and strings."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core as jex

from compressjax.interpret.jaxpr._trace import Program, is_array, trace


def traced(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Callable[..., Any], Program]:
    """A function of the arrays among the arguments alone, and the traced call; all other leaves are static."""
    leaves, structure = jax.tree.flatten((args, kwargs))
    program = trace(fn, leaves, structure)
    return jex.jaxpr_as_fun(program.closed), program


def bound(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """Compiles one call, which can then be repeated."""
    run, program = traced(fn, *args, **kwargs)
    compiled = jax.jit(run)
    return lambda: program.finish(compiled(*program.inputs))


class Compiled:
    """A function that is compiled once for arguments of the same shapes and the same other leaves."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._made: dict[Any, tuple[Callable[..., Any], Program]] = {}

    def __call__(self, *args: Any) -> Any:
        """Result of the function."""
        leaves, structure = jax.tree.flatten(args)
        arrays = [x for x in leaves if is_array(x)]
        others = tuple(id(x) for x in leaves if not is_array(x))
        key = (structure, others, tuple((x.shape, x.dtype) for x in arrays))
        if key not in self._made:
            run, program = traced(self._fn, *args)
            self._made[key] = jax.jit(run), program
        run, program = self._made[key]
        return program.finish(run(*arrays))
