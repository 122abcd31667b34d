"""The laws of methods: shapes, views, projections, selection, stability, sizes and files, zero limits, composition.

Every law takes its subject (a method, a combinator, a placement) as an argument, so that tests can pass wrong ones.
"""

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import Var

from compressjax import core, prune, quant
from compressjax.testing._compare import Broken, difference, epsilon, float64, require, same_bits
from compressjax.testing._method import Example, Method, Tolerance, Tree
from compressjax.testing._nodes import assert_decoded, assert_lossless, assert_size

EXAMPLES = (
    Example(), Example(kind="wide", seed=1), Example(kind="sparse", seed=2), Example(dtype="bfloat16", kind="ties")
)  # fmt: skip
Combine = Callable[[core.Compression, core.Compression], core.Compression]


def check_method(
    make: Callable[[], core.Compression], *, examples: tuple[Example, ...] = EXAMPLES, **promises: Any
) -> tuple[str, ...]:
    """Checks all laws of methods, and those of files on the encoded trees.

    Args:
        make: Creates the compression to check.
        examples: Trees to check it on; expensive laws only use the first one.
        **promises: Attributes of `Method`: `neutral=` for the zero limit, `projection=None` if encoding twice may
            change values, `stats=` for statistics, `traceable=False` if it does not run under `jit`. The default
            `devices=8.0` allows rounding errors, because two devices add in another order.

    Returns:
        Names of the laws that hold, without `"projection"`, `"zero limit"` and `"decoded"` (by NumPy) if the method
        does not promise them.

    Raises:
        Broken: If a law does not hold.

    Example:
        >>> from compressjax import prune
        >>> "view" in check_method(lambda: prune.magnitude(0.5), examples=(Example(),))
        True
    """
    method, first = Method(getattr(make, "__name__", "method"), make, **{"devices": 8.0, **promises}), examples[0]
    held = ["shape", "view", "projection", "size", "lossless", "decoded", "selection", "stability"]
    for example in examples:
        assert_shape(method, example)
        assert_view(method, example)
        assert_projection(method, example)
        with tempfile.TemporaryDirectory() as folder:
            for run in method.runs(example, (3,)):
                assert_size(run.tree, folder)
                assert_lossless(run.tree, folder)
                if not assert_decoded(run.tree, folder) and "decoded" in held:
                    held.remove("decoded")
    assert_selection(method, first)
    assert_stability(method, first)
    assert_donation(method, first)
    assert_zero_limit(method, first)
    mask, grid = _partners()
    for one, two, combine in ((mask, method, core.chain), (method, grid, core.chain), (method, grid, core.sequence)):
        assert_composition(one, two, first, combine)
    if method.projection is None:
        held.remove("projection")
    return (*held, *(["zero limit"] if method.neutral else []), "composition")


@functools.cache
def _partners() -> tuple[Method, Method]:
    """The methods to combine with: a mask before, and a grid after."""
    return Method("mask", lambda: prune.magnitude(0.5)), Method("grid", quant.rtn)


def assert_shape(method: Method, example: Example) -> None:
    """Law 1: materializing an encoded tree restores structure, shapes and dtypes."""
    params = example.params()
    for run in method.runs(example):
        dense, viewed = core.materialize(run.tree), core.materialize(run.view)
        for what, tree in (("materialize(encode)", dense), ("view", viewed)):
            require(_layout(tree)[0] == _layout(params)[0], "shape", f"{what} has another structure")
        for path, leaf in core.nodes(params).items():
            for what, x in (
                ("the node", core.nodes(run.tree)[path]),
                ("materialize", core.nodes(dense)[path]),
                ("the view", core.nodes(viewed)[path]),
            ):
                got, expected = (tuple(x.shape), jnp.dtype(x.dtype)), (leaf.shape, leaf.dtype)
                require(got == expected, "shape", f"{path} is {expected}, but {what} gives {got} at step {run.step}")


def assert_view(method: Method, example: Example) -> None:
    """Law 2: the trained view equals the stored tree, bit for bit, including other fields of nodes."""
    for run in method.runs(example):
        problem = _unlike_view(run.view, run.tree)
        require(not problem, "view", f"at step {run.step}, view and materialize(encode): {problem}")


def _unlike_view(view: Tree, tree: Tree) -> str:
    stored = core.nodes(tree)
    return difference(core.materialize(view), core.materialize(tree)) or next(
        (f"{path}/{problem}" for path, x in core.nodes(view).items() if (problem := _unlike(x, stored[path]))), ""
    )


def _unlike(shown: Any, stored: Any) -> str:
    """Where two nodes of one type differ in fields that do not change the entries, such as a range of activations."""
    if not core.is_node(shown) or type(shown) is not type(stored):
        return ""
    for name, role in shown.roles.items():
        one, two = getattr(shown, name), getattr(stored, name)
        if name in shown.aligned:
            problem = _unlike(one, two)
        else:
            problem = "" if role == "meta" else difference(core.materialize(one), core.materialize(two))
        if problem:
            return f"{name}: {problem}"
    return ""


def assert_projection(method: Method, example: Example) -> None:
    """Law 3: encoding a materialized result again changes nothing, up to the tolerance of the method."""
    if method.projection is None:
        return
    for run in method.runs(example, (3,)):
        once = core.materialize(run.tree)
        stats = method.stats(once)
        state = method.compiled.init(once)
        for _ in range(3):
            _, state = method.compiled.after_step(once, state, stats)
        twice = core.materialize(method.compiled.encode(once, state))
        _close(twice, once, method.projection, "projection")


def _close(got: Tree, expected: Tree, tolerance: Tolerance, law: str) -> None:
    for path, x in core.values(expected).items():
        y = float64(core.values(got)[path])
        x64 = float64(x)
        epsilons = tolerance(x.dtype.name) if callable(tolerance) else tolerance
        bound = epsilons * epsilon(x.dtype) * np.abs(x64).max(initial=0.0)
        error = np.abs(y - x64).max(initial=0.0)
        require(error <= bound, law, f"{path} is off by {error:.3g}, where at most {bound:.3g} is allowed")


def assert_selection(
    method: Method, example: Example, only: Callable[[core.Selector, core.Compression], core.Compression] = core.only
) -> None:
    """Law 4: leaves that are not selected do not change, bit for bit; a selector that matches nothing raises."""
    params, free = example.params(), method.compression
    own = {path for path, x in core.values(params).items() if core.matches(method.select, path, x)}
    _untouched(method.compiled, params, own, method)
    _untouched(only("last/kernel", free), params, {"last/kernel"}, method)
    try:
        only("no/such/leaf", free).init(params)
    except ValueError as error:
        require("last/kernel" in str(error), "selection", f"the message does not list the tree's values: {error}")
    else:
        raise Broken("selection: a pattern that selects nothing was accepted")


def _untouched(c: core.Compression, params: Tree, selected: set[str], method: Method) -> None:
    stats = method.stats(params)
    if method.traceable:
        # Methods that store dense leaves (the identity, a proximal step) act on none.
        state = jax.eval_shape(lambda p: c.after_step(p, c.init(p), stats)[1], params)
        stored = set(core.acts_on(c, params, state))
        require(stored in (selected, set()), "selection", f"{stored} selected, {selected} expected")

    def outcomes(params: Tree) -> dict[str, Tree]:
        _, state = c.after_step(params, c.init(params), stats)
        masked = masks(params, state)
        return {"view": c.view(params, state), "encode": c.encode(params, state), "masks": masked}

    def masks(params: Tree, state: Any) -> Tree:
        return core.zero_masked(params, c.masks(params, state).moving)

    if method.traceable:
        # The method as it is has its functions compiled by now.
        outcomes, masks = (outcomes, jax.jit(masks)) if c is method.compiled else (jax.jit(outcomes), masks)
    for what, tree in outcomes(params).items():
        for path, leaf in core.nodes(params).items():
            if path not in selected:
                same = same_bits(core.nodes(tree)[path], leaf)
                require(same, "selection", f"{what} changed {path}, which is not selected")


def shard(x: jax.Array) -> jax.Array:
    """Shards the longest even axis of a matrix over two devices; replicates vectors and scalars."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("model",))
    parts: list[str | None] = [None] * x.ndim
    if x.ndim > 1:
        parts[max(range(x.ndim), key=lambda axis: (x.shape[axis] % 2 == 0, x.shape[axis]))] = "model"
    return jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*parts)))


def assert_stability(
    method: Method, example: Example, steps: int = 4, place: Callable[[jax.Array], jax.Array] = shard
) -> None:
    """Law 6: one trace for n steps, `init` on abstract values, and equal results on one device and two, if there."""
    params = example.params()
    stats = method.stats(params)
    _abstract_init(method, params)
    if method.traceable:
        _one_trace(method, params, stats, steps)
        if jax.device_count() > 1:
            _two_devices(method, params, stats, place)


def _layout(tree: Tree) -> Any:
    return jax.tree.structure(tree), [(x.shape, jnp.dtype(x.dtype)) for x in jax.tree.leaves(tree)]


def _abstract_init(method: Method, params: Tree) -> None:
    try:
        abstract = jax.eval_shape(method.compression.init, params)
    except jax.errors.JAXTypeError as error:
        raise Broken(f"stability: init reads values: {error}") from error
    same = _layout(abstract) == _layout(method.compiled.init(params))
    require(same, "stability", "abstract and concrete init give different states")


def assert_donation(method: Method, example: Example) -> None:
    """Law 6, donated: a new state holds no array twice, and none that the caller or the method still has."""
    c, params = method.compression, example.params()
    stats = method.stats(params)
    begins: list[Callable[..., Any]] = [lambda params, stats: c.init(params)]
    if stats is not None:
        begins.append(lambda params, stats: c.after_step(params, c.init(params), stats)[1])

    def leaves(begin: Callable[..., Any], params: Tree, stats: Any) -> list[Any]:
        found = [x for x in jax.tree.leaves(begin(params, stats)) if isinstance(x, jax.Array)]
        require(len({id(x) for x in found}) == len(found), "donation", "the state holds an array in two places")
        return found

    for begin in begins:
        traced = jax.make_jaxpr(functools.partial(leaves, begin))(params, stats).jaxpr
        held = [x for x in traced.outvars if isinstance(x, Var)]
        for owner, arrays in (("caller", traced.invars), ("method", traced.constvars)):
            shared = len(set(held) & set(arrays))
            require(
                not shared, "donation", f"the state holds {shared} arrays of the {owner}, which a jitted step deletes"
            )


def _one_trace(method: Method, params: Tree, stats: Any, steps: int) -> None:
    c, optimizer = method.compression, optax.sgd(0.01, momentum=0.9)
    tx = core.as_optax(c, optimizer)
    compressing = method.compiled.init(params)
    if method.ready and stats is not None:
        _, compressing = method.compiled.after_step(params, compressing, stats)
    # Drop the integer leaf: optimizers turn its momentum into a float in the second step.
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


def _two_devices(method: Method, params: Tree, stats: Any, place: Callable[[jax.Array], jax.Array]) -> None:
    state = method.compiled.init(params)

    def step(c: core.Compression, params: Tree) -> Tree:
        begin = c.init(params) if method.decides_early else state
        return c.view(params, c.after_step(params, begin, stats)[1])

    one = step(method.compiled, params)
    two = jax.jit(lambda placed: step(method.compression, placed))(jax.tree.map(place, params))
    _close(two, one, method.devices, "stability")


def assert_zero_limit(method: Method, example: Example) -> None:
    """Law 9: neutral settings do not change the input."""
    if method.neutral is None:
        return
    c, params = method.compiled_neutral, method.snap(example.params())
    state = c.init(params)
    for _ in range(2):
        _, state = c.after_step(params, state, method.stats(params))
    _close(core.materialize(c.encode(params, state)), params, method.zero, "zero limit")


def assert_composition(first: Method, second: Method, example: Example, combine: Combine = core.chain) -> bool:
    """Law 10: a pair of methods keeps laws 1 and 2, or raises a `ValueError` with a reason.

    Args:
        first: Method that acts first.
        second: Method that acts second.
        example: Tree to check them on.
        combine: Combinator: `core.chain` or `core.sequence`.

    Returns:
        Whether the pair ran.

    Raises:
        Broken: If it does neither.

    Example:
        >>> assert_composition(Method("identity", core.identity), Method("grid", quant.rtn), Example())
        True
    """
    params = example.params()
    stats = next((found for method in (first, second) if (found := method.stats(params)) is not None), None)
    try:
        c = combine(first.compiled, second.compiled)
        state = c.init(params)
        for _ in range(3):
            _, state = c.after_step(params, state, stats)
        view, tree = c.view(params, state), c.encode(params, state)
    except ValueError as error:
        text = str(error)
        require(len(text.split()) >= 6, "composition", f"refused without a reason: {text!r}")
        return False
    except Exception as error:
        raise Broken(f"composition: {type(error).__name__} instead of a ValueError: {error}") from error
    require(_layout(core.materialize(tree)) == _layout(params), "composition", "shapes, dtypes or structure changed")
    problem = _unlike_view(view, tree)
    require(not problem, "composition", f"view and materialize(encode): {problem}")
    return True
