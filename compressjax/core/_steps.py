"""Which calls of an optimizer are steps: wrappers of optax that skip some of them."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

# States that do not say whether the last call moved the weights, and what to write in their place.
_SILENT: dict[type, tuple[str, str]] = {
    optax.ConditionallyMaskState: (
        "optax.conditionally_mask", "optax.conditionally_mask(as_optax(compression, optimizer), ...)"
    ),
    optax.ConditionallyTransformState: (
        "optax.conditionally_transform", "optax.conditionally_mask(as_optax(compression, optimizer), ...)"
    ),
    optax.ApplyEvery: ("optax.apply_every", "optax.MultiSteps(as_optax(compression, optimizer), k)"),
    optax.contrib.SAMState: ("optax.contrib.sam", "optax.contrib.sam(..., opaque_mode=True)"),
}  # fmt: skip
_TELLING = (optax.MultiStepsState, optax.ApplyIfFiniteState)


def accumulator(optimizer: Any) -> optax.MultiSteps | None:
    """The `MultiSteps` behind an optimizer, also behind its `gradient_transformation()`."""
    owner = getattr(getattr(optimizer, "update", None), "__self__", optimizer)
    return owner if isinstance(owner, optax.MultiSteps) else None


def check_steps(state: Any, learns: bool, name: str) -> None:
    """Raises if a wrapper skips calls and its state does not say which, or hides the gradient that a method needs."""
    for part in _parts(state, (*_SILENT, optax.MultiStepsState)):
        opaque = isinstance(part, optax.contrib.SAMState) and part.cache is None
        if type(part) in _SILENT and not opaque:
            wrapper, remedy = _SILENT[type(part)]
            raise ValueError(f"as_optax: {wrapper} does not say which calls move the weights, so {name} would count "
                             f"calls and not steps; use {remedy}")  # fmt: skip
        if isinstance(part, optax.MultiStepsState) and learns:
            raise ValueError(
                f"as_optax: {name} learns from the gradient of a step, and optax.MultiSteps inside another "
                "transformation hides it; use optax.MultiSteps(as_optax(compression, optimizer), k)"
            )


def stepped(before: Any, after: Any, updates: Any) -> jax.Array | None:
    """Whether a call was a step, from the states of wrappers before and after it; None if no wrapper can skip one.

    A call was no step if a wrapper says so and all updates are zero. (`apply_if_finite` gives up after some bad
    gradients and lets them pass; a wrapper of some leaves only does not stop the others.)
    """
    told = []
    for old, new in zip(_parts(before, _TELLING), _parts(after, _TELLING), strict=True):
        told.append(new.last_finite if hasattr(new, "last_finite") else new.gradient_step != old.gradient_step)
    if not told:
        return None
    moved = [jnp.any(u != 0) for u in jax.tree.leaves(updates)]
    return jnp.all(jnp.stack(told)) | jnp.any(jnp.stack(moved))


def _parts(state: Any, kinds: tuple[type, ...]) -> Iterator[Any]:
    """The parts of an optimizer state that are of some types, at any depth."""

    def stop(x: Any) -> bool:
        return x is not state and isinstance(x, kinds)

    if isinstance(state, kinds):
        yield state
    for part in jax.tree.leaves(state, is_leaf=stop):
        if stop(part):
            yield from _parts(part, kinds)
