"""The laws of methods, as functions that raise `Broken`; those of nodes and files are in `compressjax.testing`.

Every law takes what it judges as an argument (a method, a node, `lift`, a file format), so that the mutants can hand
it something wrong.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core
from compressjax.testing import Broken
from compressjax.testing._compare import require
from tests import helpers
from tests.conformance.draws import Spec
from tests.conformance.methods import MethodRow

Tree = Any


class Run(NamedTuple):
    """A method after some steps: what it trained with (`view`) and what it stores (`tree`)."""

    step: int
    state: Any
    view: Tree
    tree: Tree


def runs(row: MethodRow, spec: Spec, steps: tuple[int, ...] = (0, 1, 3)) -> Iterator[Run]:
    """Runs a method on drawn parameters, as a training loop would: compiled, with a step of the state each time."""
    c, params, stats = row.compiled, row.prepare(spec.params()), row.stats(spec.params())
    state = c.init(params)
    for step in range(max(steps) + 1):
        if step:
            _, state = c.after_step(params, state, stats)
        if step in steps and step >= row.ready:
            yield Run(step, state, c.view(params, state), c.encode(params, state))


# 1


def assert_shape(row: MethodRow, spec: Spec) -> None:
    """Law 1: materializing an encoded tree restores structure, shapes and dtypes."""
    params = row.prepare(spec.params())
    for run in runs(row, spec):
        dense, viewed = core.materialize(run.tree), core.materialize(run.view)
        for what, tree in (("materialize(encode)", dense), ("view", viewed)):
            require(jax.tree.structure(tree) == jax.tree.structure(params), "shape", f"{what} has another structure")
        for path, leaf in core.nodes(params).items():
            for what, x in (
                ("the node", core.nodes(run.tree)[path]),
                ("materialize", core.nodes(dense)[path]),
                ("the view", core.nodes(viewed)[path]),
            ):
                got, expected = (tuple(x.shape), jnp.dtype(x.dtype)), (leaf.shape, leaf.dtype)
                require(got == expected, "shape", f"{path} is {expected}, but {what} gives {got} at step {run.step}")


# 2


def assert_view(row: MethodRow, spec: Spec) -> None:
    """Law 2: what you train is what you ship, bit for bit."""
    for run in runs(row, spec):
        problem = helpers.difference(core.materialize(run.view), core.materialize(run.tree))
        require(not problem, "view", f"at step {run.step}, view and materialize(encode): {problem}")


# 3


def assert_projection(row: MethodRow, spec: Spec) -> None:
    """Law 3: encoding a materialized result changes nothing, up to the row's tolerance."""
    if row.projection is None:
        return
    for run in runs(row, spec, (3,)):
        once = core.materialize(run.tree)
        stats = row.stats(once)
        state = row.compiled.init(once)
        for _ in range(3):
            _, state = row.compiled.after_step(once, state, stats)
        twice = core.materialize(row.compiled.encode(once, state))
        _close(twice, once, row.projection, "projection")


def _close(got: Tree, expected: Tree, epsilons: Callable[[str], float], law: str) -> None:
    for path, x in core.values(expected).items():
        y = helpers.float64(core.values(got)[path])
        x64 = helpers.float64(x)
        bound = epsilons(x.dtype.name) * helpers.epsilon(x.dtype) * np.abs(x64).max(initial=0.0)
        error = np.abs(y - x64).max(initial=0.0)
        require(error <= bound, law, f"{path} is off by {error:.3g}, where at most {bound:.3g} is allowed")


# 4


def assert_selection(
    row: MethodRow, spec: Spec, only: Callable[[core.Selector, core.Compression], core.Compression] = core.only
) -> None:
    """Law 4: leaves that no pattern selects are bitwise untouched; a pattern that selects nothing raises."""
    params = row.prepare(spec.params())
    free = row.compression
    _untouched(free, params, {path for path, x in core.values(params).items() if core.kernels(path, x)}, row, spec)
    _untouched(only("last/kernel", free), params, {"last/kernel"}, row, spec)
    try:
        only("no/such/leaf", free).init(params)
    except ValueError as error:
        require("last/kernel" in str(error), "selection", f"the message does not list the tree's values: {error}")
    else:
        raise Broken("selection: a pattern that selects nothing was accepted")


def _untouched(c: core.Compression, params: Tree, selected: set[str], row: MethodRow, spec: Spec) -> None:
    stats = row.stats(params)
    if row.traceable:
        # What stores nothing of its own (the identity, a proximal step) has nothing to show here.
        state = jax.eval_shape(lambda p: c.after_step(p, c.init(p), stats)[1], params)
        stored = set(core.acts_on(c, params, state))
        require(stored in (selected, set()), "selection", f"{stored} selected, {selected} expected")

    def outcomes(params: Tree, grads: Tree) -> dict[str, Tree]:
        _, state = c.after_step(params, c.init(params), stats)
        masked = core.zero_masked(params, c.masks(params, state).moving)
        return {"view": c.view(params, state), "encode": c.encode(params, state), "masks": masked}

    for what, tree in (jax.jit(outcomes) if row.traceable else outcomes)(params, spec.grads()).items():
        for path, leaf in core.nodes(params).items():
            if path not in selected:
                same = helpers.same_bits(core.nodes(tree)[path], leaf)
                require(same, "selection", f"{what} changed {path}, which is not selected")


# 6


def spread(x: jax.Array) -> jax.Array:
    """Places a matrix on two devices, each with half of its longest even axis; the rest is on both."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("model",))
    parts: list[str | None] = [None] * x.ndim
    if x.ndim > 1:
        parts[max(range(x.ndim), key=lambda axis: (x.shape[axis] % 2 == 0, x.shape[axis]))] = "model"
    return jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*parts)))


def assert_stability(
    row: MethodRow, spec: Spec, steps: int = 4, place: Callable[[jax.Array], jax.Array] = spread
) -> None:
    """Law 6: one trace for n steps, `init` on abstract values, and two devices that equal one."""
    params, stats = row.prepare(spec.params()), row.stats(spec.params())
    _abstract_init(row, params)
    if row.traceable:
        _one_trace(row, params, stats, steps)
        _two_devices(row, params, spec, stats, place)


def _layout(tree: Tree) -> Any:
    return jax.tree.structure(tree), [(x.shape, jnp.dtype(x.dtype)) for x in jax.tree.leaves(tree)]


def _abstract_init(row: MethodRow, params: Tree) -> None:
    try:
        abstract = jax.eval_shape(row.compression.init, params)
    except jax.errors.JAXTypeError as error:
        raise Broken(f"stability: init reads values: {error}") from error
    same = _layout(abstract) == _layout(row.compiled.init(params))
    require(same, "stability", "abstract and concrete init give different states")


def _one_trace(row: MethodRow, params: Tree, stats: Any, steps: int) -> None:
    c, optimizer = row.compression, optax.sgd(0.01, momentum=0.9)
    tx = core.as_optax(c, optimizer)
    compressing = row.compiled.init(params)
    if row.ready and stats is not None:
        _, compressing = row.compiled.after_step(params, compressing, stats)
    # Momentum of an integer would be a float from the second step on; that is the optimizer's doing.
    params = {name: branch for name, branch in params.items() if name != "step"}
    traces = []

    def loss(params: Tree, state: Any) -> jax.Array:
        viewed = c.view(params, state.compression)
        return sum((jnp.sum(x.astype(jnp.float32) ** 2) for x in core.values(viewed).values()), jnp.float32(0))

    @jax.jit
    def step(params: Tree, state: Any) -> tuple[Tree, Any]:
        traces.append(1)
        updates, state = tx.update(jax.grad(loss)(params, state), state, params, stats=stats)
        return optax.apply_updates(params, updates), state

    state = core.CompressedState(optimizer.init(params), compressing)
    before = _layout(state)
    for _ in range(steps):
        params, state = step(params, state)
    require(len(traces) == 1, "stability", f"{steps} steps took {len(traces)} traces")
    require(_layout(state) == before, "stability", "the state changes its layout from step to step")


def _two_devices(row: MethodRow, params: Tree, spec: Spec, stats: Any, place: Callable[[jax.Array], jax.Array]) -> None:
    state = row.compiled.init(params)

    def step(c: core.Compression, params: Tree) -> Tree:
        begin = c.init(params) if row.decides_early else state
        return c.view(params, c.after_step(params, begin, stats)[1])

    one = step(row.compiled, params)
    two = jax.jit(lambda placed: step(row.compression, placed))(jax.tree.map(place, params))
    _close(two, one, lambda dtype: row.devices, "stability")


# 9


def assert_zero_limit(row: MethodRow, spec: Spec) -> None:
    """Law 9: neutral settings give the input back."""
    if row.neutral is None:
        return
    c = row.neutral_row.compiled
    params = row.snap(spec.params())
    state = c.init(params)
    for _ in range(2):
        _, state = c.after_step(params, state, row.stats(params))
    _close(core.materialize(c.encode(params, state)), params, row.zero, "zero limit")


# 10


def composition(
    first: MethodRow,
    second: MethodRow,
    spec: Spec,
    combine: Callable[[core.Compression, core.Compression], core.Compression],
) -> bool:
    """Law 10: a pair keeps laws 1 and 2, or refuses with a `ValueError` that gives a reason. Returns whether it ran."""
    params = spec.params()
    try:
        c = combine(first.compiled, second.compiled)
        state = c.init(params)
        for _ in range(3):
            _, state = c.after_step(params, state, first.stats(params))
        viewed, tree = core.materialize(c.view(params, state)), c.encode(params, state)
    except ValueError as error:
        text = str(error)
        require(len(text.split()) >= 6, "composition", f"refused without a reason: {text!r}")
        return False
    except Exception as error:
        raise Broken(f"composition: {type(error).__name__} instead of a ValueError: {error}") from error
    dense = core.materialize(tree)
    require(_layout(dense) == _layout(params), "composition", "shapes, dtypes or structure changed")
    problem = helpers.difference(viewed, dense)
    require(not problem, "composition", f"view and materialize(encode): {problem}")
    return True
