"""Training that goes on after a kill: parameters and optimizer are stored every few steps."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from compressjax import recipe
from experiments import limits

LIMITS = {"steps": limits.COUNT, "chunk": limits.COUNT, "batch": limits.COUNT, "learning_rate": limits.POSITIVE}

Loss = Callable[[Any, Any, tuple[Any, ...]], jax.Array]


def train(
    store: recipe.Store,
    name: str,
    params: Any,
    loss: Loss,
    fixed: Any,
    draw: Callable[[int], tuple[Any, ...]],
    settings: Mapping[str, Any],
) -> Any:
    """Trains with Adam, whose rate rises for a twentieth of the steps and then falls as a cosine.

    Args:
        store: Where checkpoints go.
        name: Of this training in the store.
        params: To start from.
        loss: `(params, fixed, batch) -> scalar`.
        fixed: Arrays that do not train, as an argument of the compiled program.
        draw: The batch of a step, a function of the step alone.
        settings: `steps`, `chunk` (steps between checkpoints), `learning_rate`.

    Returns:
        The trained parameters.

    Raises:
        ValueError: If the parameters are no numbers at a checkpoint.
    """
    steps, rate = settings["steps"], settings["learning_rate"]
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, max(1, steps // 20), steps)
    optimizer = optax.adam(schedule)

    def step(params: Any, state: Any, fixed: Any, batch: tuple[Any, ...]) -> Any:
        updates, state = optimizer.update(jax.grad(loss)(params, fixed, batch), state)
        return optax.apply_updates(params, updates), state

    run = jax.jit(step, donate_argnums=(0, 1))
    done, (params, state) = _latest(store, name, (jax.tree.map(jnp.copy, params), optimizer.init(params)))
    while done < steps:
        count = min(settings["chunk"], steps - done)
        for i in range(done, done + count):
            params, state = run(params, state, fixed, draw(i))
        if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(params)):
            raise ValueError(f"the weights of {name} are no numbers after {done + count} steps; lower learning_rate")
        before, done = done, done + count
        store.save(_place(name, done), jax.tree.leaves((params, state)), {"step": done})
        store.remove(_place(name, before))
    return params


def _latest(store: recipe.Store, name: str, start: Any) -> tuple[int, Any]:
    """The last whole checkpoint, or the start."""
    for place in reversed(store.names(name)):
        try:
            held = store.load(place)
        except recipe.DamagedError:
            store.remove(place)
            continue
        leaves = [jnp.asarray(x) for x in held.tree]
        return held.facts["step"], jax.tree.unflatten(jax.tree.structure(start), leaves)
    return 0, start


def _place(name: str, step: int) -> str:
    return f"{name}/{step:07}"
