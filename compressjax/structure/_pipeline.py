"""Runs the stages of a function on the devices of a mesh axis, microbatch by microbatch."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from compressjax.core._settings import as_int
from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._line import Known, Line, inputs_of
from compressjax.interpret.jaxpr._trace import is_array
from compressjax.structure._cut_stages import Stages, flat_leaves
from compressjax.structure._packing import Packing, Vectors, packing, widest


class Pipeline(NamedTuple):
    """A function on the devices of a mesh axis.

    Attributes:
        pack: `params -> {type: [stages, length]}`, sharded over the axis: every device holds the weights of its stage.
        run: `(packed, *args) -> result`, differentiable with respect to `packed`.
    """

    pack: Callable[[Any], Vectors]
    run: Callable[..., Any]


def pipeline(stages: Stages, mesh: jax.sharding.Mesh, axis_name: str, microbatches: int) -> Pipeline:
    """Returns a function that runs its stages on the devices of a mesh axis, several microbatches at a time.

    .. math:: \\text{stage } s \\text{ runs microbatch } t - s \\text{ at time } t, \\qquad
        \\text{idle share} = \\frac{S - 1}{M + S - 1}

    Every device sends its values to the next one after every turn; all send as many bytes as the widest cut has.
    Gradients flow backward through the same stages. Rows of a batch must not depend on one another: the result is
    that of the function, microbatch by microbatch, so a loss must be per row.

    Args:
        stages: From `cut_stages`, for arguments of the size of one microbatch.
        mesh: Mesh; it repeats the computation along its other axes.
        axis_name: Axis with one device a stage.
        microbatches: Number of microbatches `M` in a batch, at least 1.

    Returns:
        The pipeline; its arguments have `M` times the rows of a microbatch along axis 0, and so have its results.

    Raises:
        ValueError: If the axis has not one device a stage, a result has no axis of rows; when called, if an argument
            has another number of rows.

    Example:
        >>> from compressjax.structure import cut_stages
        >>> found = cut_stages(lambda p, x: x @ p, jnp.eye(2), jnp.ones((1, 2)), count=1)
        >>> mesh = jax.make_mesh((1,), ("stage",), axis_types=(jax.sharding.AxisType.Auto,))
        >>> piped = pipeline(found, mesh, "stage", 2)
        >>> jax.jit(piped.run)(jax.jit(piped.pack)(jnp.eye(2)), jnp.ones((2, 2))).tolist()
        [[1.0, 1.0], [1.0, 1.0]]

    Source: Huang et al., GPipe, arXiv:1811.06965 (huang2019).
    """
    microbatches, count = as_int("pipeline", "microbatches", microbatches), len(stages.stages)
    if dict(mesh.shape).get(axis_name) != count:
        raise ValueError(f"pipeline: axis {axis_name!r} must have one device for each of {count} stages; the mesh is "
                         f"{dict(mesh.shape)}")  # fmt: skip
    if microbatches < 1:
        raise ValueError(f"pipeline: microbatches={microbatches} must be at least 1")
    rows = _rows(stages)
    holds = [packing(stage.holds, stages.types) for stage in stages.stages]
    lengths = widest(holds)
    spread = jax.sharding.NamedSharding(mesh, PartitionSpec(axis_name))

    def pack(params: Any) -> Vectors:
        leaves = {stages.line.leaves[path]: x for path, x in flat_leaves(params).items() if path in stages.line.leaves}
        known = _made(stages.line, leaves | stages.line.consts, {n for one in holds for n in one.slots})
        each = [one.pack(known, lengths) for one in holds]
        return {
            dtype: jax.lax.with_sharding_constraint(jnp.stack([vectors[dtype] for vectors in each]), spread)
            for dtype in lengths
        }

    turn = _turn(stages, holds)

    def run(packed: Vectors, *args: Any) -> Any:
        batches = [_split(x, rows, microbatches) for x in inputs_of(args)]
        mapped = jax.shard_map(
            lambda held, x: turn(held, x, axis_name, microbatches), mesh=mesh, check_vma=False,
            in_specs=(PartitionSpec(axis_name), PartitionSpec()), out_specs=PartitionSpec(axis_name),
        )  # fmt: skip
        found = [x[-1].reshape(microbatches * rows, *x.shape[3:]) for x in mapped(packed, batches)]
        return jax.tree.unflatten(stages.result, found)

    return Pipeline(pack, run)


def _rows(stages: Stages) -> int:
    """Rows of a microbatch: the first axis of all arguments and results."""
    given = [x for x in jax.tree.leaves(stages.example[1:]) if is_array(x)]
    sizes = {x.shape[0] if x.shape else None for x in given}
    made = {stages.types[n].shape[:1] if isinstance(n, int) else () for n in stages.line.results}
    if len(sizes) != 1 or None in sizes or made != {(next(iter(sizes)),)}:
        raise ValueError(f"pipeline: axis 0 of all arguments and results must be the rows of a microbatch; arguments "
                         f"have shapes {[x.shape for x in given]}, and results begin with {sorted(made)}")  # fmt: skip
    return int(next(iter(sizes)) or 0)


def _split(x: Any, rows: int, microbatches: int) -> jax.Array:
    if x.ndim == 0 or x.shape[0] != rows * microbatches:
        raise ValueError(f"pipeline: an argument has shape {x.shape}; its first axis must be {rows * microbatches}, "
                         f"{microbatches} microbatches of {rows} rows")  # fmt: skip
    return jnp.reshape(x, (microbatches, rows, *x.shape[1:]))


def _made(line: Line, known: Mapping[int, Any], targets: set[int]) -> dict[int, Any]:
    """Values that depend on weights alone, from weights and constants."""
    needed, todo = set[int](), list(targets)
    while todo:
        at = line.maker.get(todo.pop())
        if at is not None and at not in needed:
            needed.add(at)
            todo += line.equations[at].numbers
    return _evaluated(line, sorted(needed), known)


def _evaluated(line: Line, equations: Any, known: Mapping[int, Any]) -> dict[int, Any]:
    """Known values, and the results of some equations of a line."""
    env = dict(known)
    with Context() as context:
        for at in equations:
            eq = line.equations[at]
            context.enter(eq.eqn)
            out = bind(eq.eqn, [x.value if isinstance(x, Known) else env[x] for x in eq.reads])
            env.update(zip(eq.writes, out, strict=True))
    return env


def _turn(stages: Stages, holds: list[Packing]) -> Callable[..., list[jax.Array]]:
    """What a device does: at every time its stage of one microbatch, and then a message to the next device."""
    line, types, count = stages.line, stages.types, len(stages.stages)
    routes = [packing(stage.receives, types) for stage in stages.stages]
    lengths = widest(routes)
    nothing = [jnp.zeros(types[n].shape, types[n].dtype) for n in line.results if isinstance(n, int)]

    def stage_of(place: int) -> Callable[..., tuple[Vectors, list[jax.Array]]]:
        stage = stages.stages[place]

        def run(held: Vectors, x: list[jax.Array], received: Vectors) -> tuple[Vectors, list[jax.Array]]:
            known = holds[place].unpack(held) | routes[place].unpack(received)
            known |= dict(zip(line.inputs, x, strict=True)) if place == 0 else {}
            env = _evaluated(line, stage.equations, known)
            if place == count - 1:
                return received, [env[n] for n in line.results]
            return routes[place + 1].pack(env, lengths), nothing

        return run

    branches = [*(stage_of(place) for place in range(count)), lambda held, x, received: (received, nothing)]

    def turn(held: Vectors, x: list[jax.Array], axis_name: str, microbatches: int) -> list[jax.Array]:
        place, own = jax.lax.axis_index(axis_name), {dtype: vector[0] for dtype, vector in held.items()}
        following = [(i, i + 1) for i in range(count - 1)]

        def step(received: Vectors, time: jax.Array) -> tuple[Vectors, list[jax.Array]]:
            number = time - place
            busy = (number >= 0) & (number < microbatches)
            batch = [jax.lax.dynamic_index_in_dim(b, jnp.clip(number, 0, microbatches - 1), keepdims=False) for b in x]
            sent, results = jax.lax.switch(jnp.where(busy, place, count), branches, own, batch, received)
            return {dtype: jax.lax.ppermute(v, axis_name, following) for dtype, v in sent.items()}, results

        start = {dtype: jnp.zeros(width, dtype) for dtype, width in lengths.items()}
        _, results = jax.lax.scan(step, start, jnp.arange(microbatches + count - 1))
        return [y[count - 1 :][None] for y in results]

    return turn
