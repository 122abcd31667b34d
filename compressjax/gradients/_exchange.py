"""Gradients that workers average by short messages, as an optax transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.core._checks import described
from compressjax.gradients._compressor import Compressor, Draw
from compressjax.gradients._link import Link
from compressjax.numerics import with_auto_axes
from compressjax.numerics._keys import key_data, stream

FEEDBACK = ("error", "ef21", "none")


class PerWorker(NamedTuple):
    """State that differs from worker to worker: arrays have a first axis for the workers, of length 1 in each."""

    tree: Any


class ExchangeState(NamedTuple):
    """State of `exchange`: the number of steps, a key, what was not sent, and what all workers know."""

    step: jax.Array
    key: jax.Array
    memory: PerWorker
    shared: dict[str, Any]
    sum: dict[str, jax.Array]


def exchange(
    compressor: Compressor,
    axis_name: Any = None,
    *,
    feedback: str | None = None,
    select: Selector = kernels,
    key: jax.Array | None = None,
) -> optax.GradientTransformation:
    """Averages gradients over workers by the messages of a compressor, and remembers what was not sent.

    .. math:: p = g + e, \\quad u = \\tfrac1n \\textstyle\\sum_w C(p_w), \\quad e \\leftarrow p - C(p)

    That is error feedback. EF21 sends changes instead: :math:`h_w \\leftarrow h_w + C(g_w - h_w)`, :math:`u = \\bar h`.
    Put it before the optimizer, `optax.chain(exchange(...), optax.sgd(0.1))`. Gradients must be those of the worker:
    under `shard_map` pass `check_vma=False`, because JAX otherwise sums gradients of replicated parameters itself. The
    memory of every worker is its own; `specs` gives the shardings of the state. Without an axis there is one worker.
    Other axes of the mesh may be Auto or Explicit; memories are split over them as their leaves are.

    Args:
        compressor: Such as `top_k(0.01)`.
        axis_name: Named axis of the workers, or a tuple of them; None for none.
        feedback: `"error"`, `"ef21"` or `"none"`; by default what the method was published with.
        select: Leaves to compress; all others are averaged as they are.
        key: PRNG key of random methods; `jax.random.key(0)` by default.

    Returns:
        A transformation whose updates are the averaged gradients, the same on all workers.

    Raises:
        ValueError: If an argument is of another kind; from `init`, if no leaf is selected.

    Example:
        >>> from compressjax.gradients import top_k
        >>> tx = exchange(top_k(0.25))
        >>> grads = {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]])}
        >>> state = tx.init(grads)
        >>> for _ in range(2):
        ...     updates, state = tx.update(grads, state)
        ...     print(updates["kernel"].tolist())
        [[0.0, 0.0], [0.0, 4.0]]
        [[0.0, 0.0], [6.0, 0.0]]

    Source: Stich et al., arXiv:1809.07599 (stich2018); EF21: Richtarik et al., arXiv:2106.05203 (richtarik2021).
    """
    if not isinstance(compressor, Compressor):
        raise ValueError(f"exchange: {described(compressor)} is not a compressor; pass one, such as top_k(0.01)")
    kind = compressor.feedback if feedback is None else feedback
    if kind not in FEEDBACK:
        raise ValueError(f"exchange: feedback={feedback!r} is unknown; choose one of {', '.join(FEEDBACK)}")
    link, start = Link(axis_name), jax.random.key(0) if key is None else key

    def init(params: Any) -> ExchangeState:
        found, data = chosen("exchange", params, select), key_data(start)
        zeros = {path: jnp.zeros_like(x, jnp.float32) for path, x in found.items()}
        shared = {path: compressor.init(x.shape, stream(data, path)) for path, x in found.items()}
        memory = PerWorker({} if kind == "none" else {path: x[None] for path, x in zeros.items()})
        return ExchangeState(jnp.zeros((), jnp.int32), data, memory, shared, zeros if kind == "ef21" else {})

    def leaf(g: jax.Array, memory: Any, shared: Any, total: Any, draw: Draw) -> tuple[jax.Array, Any, Any, Any]:
        x = g.astype(jnp.float32)
        if kind != "none":
            x = x + memory[0] if kind == "error" else x - memory[0]
        own, mean, shared = compressor.exchange(x, shared, draw, link)
        if kind == "error":
            memory = (x - own)[None]
        elif kind == "ef21":
            memory, total = memory + own[None], total + mean
            mean = total
        return mean.astype(g.dtype), memory, shared, total

    def update(grads: Any, state: ExchangeState, params: Any = None) -> tuple[Any, ExchangeState]:
        del params
        memory, shared, total, new = dict(state.memory.tree), dict(state.shared), dict(state.sum), {}
        for path, g in values(grads).items():
            if path not in shared:
                new[path] = link.mean(g)
                continue
            draw = Draw(stream(state.key, path), stream(state.key, path, state.step + 1), state.step)
            given = g, memory.get(path, ()), shared[path], total.get(path, ())
            new[path], held, shared[path], known = with_auto_axes(leaf, given)(*given, draw)
            memory |= {path: held} if path in memory else {}
            total |= {path: known} if path in total else {}
        after = ExchangeState(state.step + 1, state.key, PerWorker(memory), shared, total)
        return with_values(grads, new), after

    return optax.GradientTransformation(init, update)


def chosen(who: str, params: Any, select: Selector) -> dict[str, Any]:
    """The leaves to compress."""
    found = {path: x for path, x in values(params).items() if matches(select, path, x)}
    if not found:
        raise ValueError(f"{who}: select={select!r} matches no leaf; the leaves are {list(values(params))[:8]}")
    return found


def specs(state: Any, axis_name: Any) -> Any:
    """Returns the shardings of a state for `shard_map`: over the workers where it differs, whole everywhere else.

    Make the state inside, `shard_map(tx.init, out_specs=specs(jax.eval_shape(tx.init, params), "data"), ...)`.

    Args:
        state: State of an optax transformation with parts of this module at any depth; may be abstract.
        axis_name: Mesh axis of the workers, or a tuple of them.

    Returns:
        A tree of `PartitionSpec` with the structure of the state.

    Example:
        >>> from compressjax.gradients import top_k
        >>> tx = exchange(top_k(0.5))
        >>> tuple(specs(tx.init({"kernel": jnp.zeros((2, 2))}), "data").memory.tree["kernel"])
        ('data',)
    """
    spread, whole = jax.sharding.PartitionSpec(axis_name), jax.sharding.PartitionSpec()

    def part(x: Any) -> Any:
        return jax.tree.map(lambda _: spread if isinstance(x, PerWorker) else whole, x)

    return jax.tree.map(part, state, is_leaf=lambda x: isinstance(x, PerWorker))
