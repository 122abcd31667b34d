"""For each law, things that look right and are wrong; the law must reject every one of them."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import artifact, coding, core, interpret, tensors, testing
from compressjax.numerics._numerics import straight_through
from compressjax.numerics._top import top_mask
from compressjax.testing._lifting import assert_lifted
from compressjax.testing._methods import (
    assert_donation,
    assert_projection,
    assert_selection,
    assert_shape,
    assert_stability,
    assert_view,
    assert_zero_limit,
)
from compressjax.testing._nodes import assert_decoded, assert_lossless, assert_node_shape, assert_size
from tests import helpers, toys
from tests.conformance import nodes

SPEC = testing.Example(seed=1)
WIDE = testing.Example(kind="wide", seed=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Mutant:
    """Something wrong.

    Attributes:
        law: Number of the law that must reject it.
        name: What is wrong.
        judge: Puts it before its law; gets an empty folder.
        says: Part of the verdict, so that it is rejected for what is wrong with it.
    """

    law: int
    name: str
    judge: Callable[[pathlib.Path], None]
    says: str


def _row(c: core.Compression, **settings: Any) -> testing.Method:
    return testing.Method("mutant", lambda: c, **settings)


def _per_leaf(f: Callable[[jax.Array], Any]) -> core.Compression:
    return core.from_encode("mutant", lambda path, x, stats: f(x))


# 1, 2, 3: shapes, views, projections


def _always_float32() -> core.Compression:
    return _per_leaf(lambda x: tensors.Quantized(jnp.zeros(x.shape, jnp.int8), jnp.ones((1,) * x.ndim)))


@core.node
class _Transposed(tensors.LowRank):
    @property
    def shape(self) -> tuple[int, ...]:
        return super().shape[::-1]


@core.node
class _Float32(tensors.Codebook):
    @property
    def dtype(self) -> np.dtype:
        return np.dtype("float32")


def _stale_view() -> core.Compression:
    """Views the mask of the last step: the step between is trained with a mask that is not stored."""
    c = toys.mask()
    return c._replace(
        init=lambda p: (c.init(p), c.init(p)),
        after_step=lambda p, s, stats=None: (p, (s[1], c.after_step(p, s[1])[1])),
        view=lambda p, s: c.view(p, s[0]),
        encode=lambda p, s: c.encode(p, s[1]),
    )


def _one_ulp() -> core.Compression:
    """Adds and subtracts: the straight-through formula that rounds, as soon as the grid saturates."""
    c = toys.grid(0.3)

    def view(params: Any, state: Any) -> Any:
        seen = c.view(params, state)
        return jax.tree.map(lambda p, v: p + jax.lax.stop_gradient(v - p), params, seen)

    return c._replace(view=view)


def _another_range() -> core.Compression:
    """Stores the range of activations doubled: entries are those that were trained, products are not."""
    c = toys.ranged()
    return c._replace(encode=lambda p, s: c.encode(p, jax.tree.map(lambda r: 2 * r, s)))


def _half_of_what_is_left() -> core.Compression:
    """Prunes half of the non-zero entries, every time."""

    def encode(x: jax.Array) -> tensors.Masked:
        return tensors.Masked(x, top_mask(jnp.abs(x), jnp.sum(x != 0) // 2))

    return _per_leaf(encode)


# 4: selection


def _touches_biases() -> core.Compression:
    c = toys.mask()

    def view(params: Any, state: Any) -> Any:
        return core.map_values(lambda path, x: 2 * x if path.endswith("bias") else x, c.view(params, state))

    return c._replace(view=view)


def _deaf_to_selectors(selector: core.Selector, c: core.Compression) -> core.Compression:
    del selector
    return c


def _content_with_nothing(selector: core.Selector, c: core.Compression) -> core.Compression:
    """Chooses without complaint no leaf at all."""
    part = core.only(selector, c)

    def init(params: Any) -> Any:
        try:
            return part.init(params)
        except ValueError:
            return toys.MaskState({})

    return part._replace(init=init)


# 5: lift


def _node(row: str, dtype: str = "float32") -> core.Node:
    found = next(r for r in nodes.ROWS if r.name == row)
    return found.make(np.random.default_rng(4), nodes.SIZES[0], dtype)


def _dense(change: Callable[[jax.Array], jax.Array]) -> Callable[..., Any]:
    return lambda f: lambda w, x: f(change(w.materialize()), x)


def _forgets_the_mask(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda w, x: f(w.value, x)


def _no_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda w, x: f(jax.lax.stop_gradient(w.materialize()), x)


def _on_the_host(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda w, x: f(jnp.asarray(np.asarray(w.materialize())), x)


def _drifting_output(f: Callable[..., Any]) -> Callable[..., Any]:
    """Runs natively and answers in another dtype."""
    native = interpret.lift(f, on_fallback="ignore")
    return lambda w, x: native(w, x).astype(jnp.float32)


def _coarse(f: Callable[..., Any]) -> Callable[..., Any]:
    """Rounds activations to 4 bits where the node promises 8."""

    def run(w: core.Node, x: jax.Array) -> jax.Array:
        scale = jnp.max(jnp.abs(x)) / 7
        return f(w.materialize(), straight_through(x, jnp.round(x / scale) * scale))

    return run


# 6: stability


def _drifting_state() -> core.Compression:
    """A counter that begins as an integer and goes on as a float."""
    c = toys.mask()
    return c._replace(
        init=lambda p: (jnp.int32(0), c.init(p)),
        after_step=lambda p, s, stats=None: (p, (s[0] + 1.0, c.after_step(p, s[1])[1])),
        view=lambda p, s: c.view(p, s[1]),
        encode=lambda p, s: c.encode(p, s[1]),
        masks=lambda p, s: c.masks(p, s[1]),
        before_step=lambda g, p, s, slopes=None: (c.before_step(g, p, s[1])[0], s),
    )


def _state_of(init: Callable[[Any], Any]) -> core.Compression:
    return core.identity()._replace(init=init)


def _gives_its_own() -> core.Compression:
    own = jnp.zeros(2)
    return core.identity()._replace(init=lambda p: own, view=lambda p, s: s + 1)


def _reads_values() -> core.Compression:
    c = toys.grid()

    def init(params: Any) -> Any:
        return {"scale": float(jnp.max(params["last"]["kernel"]))}

    return c._replace(init=init)


def _loses_a_shard(x: jax.Array) -> jax.Array:
    """Placement on two devices of which the second holds zeros."""
    return x if x.ndim < 2 else x.at[x.shape[0] // 2 :].set(0)


# 7, 8: files


@core.node
class _FreeMask(tensors.Masked):
    def size_bits(self, kept: int | None = None) -> int:
        return super().size_bits(kept) - self.mask.size


@core.node
class _FreeFactors(tensors.LowRank):
    def size_bits(self, kept: int | None = None) -> int:
        return 1


@core.node
class _FreeUnderMasks(tensors.LowRank):
    def size_bits(self, kept: int | None = None) -> int:
        return super().size_bits() if kept is None else 0


def _judge_size(folder: pathlib.Path, node: core.Node, **more: Any) -> None:
    assert_size({"w": node}, folder, **more)


def _coarse_decoder(spec: Any) -> np.ndarray:
    """Decodes to half precision."""
    return coding.materialize(spec).astype(np.float16)


def _flat_decoder(spec: Any) -> np.ndarray:
    return coding.materialize(spec).ravel()


def _judge_decoder(folder: pathlib.Path, materialize: Callable[[Any], np.ndarray]) -> None:
    assert_decoded({"w": _node("low rank")}, folder, materialize)


def _padded(path: pathlib.Path, tree: Any) -> artifact.Manifest:
    manifest = artifact.save(path, tree)
    path.write_bytes(path.read_bytes() + b"\0" * 16)
    return manifest


def _free_header(path: pathlib.Path, tree: Any) -> artifact.Manifest:
    """Does not charge what is no leaf: the ledger of a report that counts payload only."""
    manifest = artifact.save(path, tree)
    return manifest._replace(ledger=manifest.ledger._replace(rest={}))


def _half_precision(path: pathlib.Path, tree: Any) -> artifact.Manifest:
    return artifact.save(path, core.map_values(lambda _, x: x.astype(jnp.bfloat16).astype(x.dtype), tree))


def _trusting(path: pathlib.Path) -> artifact.Artifact:
    """Falls back on the last intact file instead of refusing a damaged one."""
    try:
        return artifact.load(path)
    except artifact.ArtifactError:
        return artifact.load(path.with_name("lossless.cjx"))


def _careless(path: pathlib.Path) -> artifact.Artifact:
    """Lets whatever goes wrong inside out to the user."""
    try:
        return artifact.load(path)
    except artifact.ArtifactError as error:
        raise KeyError("leaves") from error


def _judge_files(folder: pathlib.Path, **replaced: Any) -> None:
    assert_lossless({"w": _node("low rank"), "b": jnp.ones(3)}, folder, **replaced)


# 10: composition


def _backwards(a: core.Compression, b: core.Compression) -> core.Compression:
    """Views b before a, stores a before b."""
    return core.chain(a, b)._replace(view=lambda p, s: a.view(b.view(p, s.states[1]), s.states[0]))


def _unchecked(a: core.Compression, b: core.Compression) -> core.Compression:
    """Chains without asking whether the second stage still finds its values."""
    return core.chain(a, b)._replace(init=lambda p: core.ChainState((a.init(p), b.init(p))))


def _mute(a: core.Compression, b: core.Compression) -> core.Compression:
    def init(params: Any) -> Any:
        raise ValueError("not supported")

    return core.chain(a, b)._replace(init=init)


def _scaled() -> testing.Method:
    """Doubles; with rounding, the order of views shows."""
    return _row(
        core.on_values(
            "double",
            encode=lambda flat, state: {path: 1.7 * x for path, x in flat.items()},
            view=lambda flat, state: {path: 1.7 * x for path, x in flat.items()},
        )
    )


_ONES = np.ones((2, 2), np.float32)
_MASK, _GRID, _FACTOR = (_row(make()) for make in (toys.mask, toys.grid, toys.factor))

MUTANTS = [
    Mutant(
        1, "stores every dtype as float32",
        lambda _: assert_shape(_row(_always_float32()), SPEC._replace(dtype="bfloat16")), "float32",
    ),
    Mutant(
        1, "drops an axis", lambda _: assert_shape(_row(_per_leaf(lambda x: x.ravel())), SPEC), "first/kernel",
    ),
    Mutant(
        1, "node with its axes reversed",
        lambda _: assert_node_shape(_Transposed(jnp.ones((4, 2)), jnp.ones((2, 3)))), "the node says",
    ),
    Mutant(
        1, "node of another dtype",
        lambda _: assert_node_shape(_Float32(_ONES[0].astype("bfloat16"), _ONES.astype("uint8"))), "bfloat16",
    ),
    Mutant(2, "views an old mask", lambda _: assert_view(_row(_stale_view()), SPEC), "at step 1"),
    Mutant(
        2, "rounds in its straight-through formula", lambda _: assert_view(_row(_one_ulp()), WIDE), "differs",
    ),
    Mutant(2, "stores another range", lambda _: assert_view(_row(_another_range()), SPEC), "kernel/range: "),
    Mutant(3, "shrinks", lambda _: assert_projection(_row(_per_leaf(lambda x: 0.999 * x)), SPEC), "off by"),
    Mutant(3, "prunes again", lambda _: assert_projection(_row(_half_of_what_is_left()), SPEC), "off by"),
    Mutant(4, "touches biases", lambda _: assert_selection(_row(_touches_biases()), SPEC), "view changed"),
    Mutant(4, "deaf to selectors", lambda _: assert_selection(_MASK, SPEC, _deaf_to_selectors), "expected"),
    Mutant(
        4, "content with nothing", lambda _: assert_selection(_MASK, SPEC, _content_with_nothing),
        "was accepted",
    ),
    Mutant(
        5, "two percent off", lambda _: assert_lifted(_node("codebook"), 0, _dense(lambda w: 1.02 * w)),
        "off by",
    ),
    Mutant(5, "forgets the mask", lambda _: assert_lifted(_node("masked"), 0, _forgets_the_mask), "is off by"),
    Mutant(5, "gives no gradient", lambda _: assert_lifted(_node("low rank"), 0, _no_gradient), "gradient"),
    Mutant(5, "leaves the device", lambda _: assert_lifted(_node("masked"), 0, _on_the_host), "under jit"),
    Mutant(
        5, "another dtype", lambda _: assert_lifted(_node("low rank", "bfloat16"), 0, _drifting_output),
        "float32",
    ),
    Mutant(
        5, "4 bits for 8", lambda _: assert_lifted(_node("grid, dynamic activations"), 0, _coarse),
        "is off by",
    ),
    Mutant(6, "state that drifts", lambda _: assert_stability(_row(_drifting_state()), SPEC), "traces"),
    Mutant(
        6, "init that reads values", lambda _: assert_stability(_row(_reads_values()), SPEC),
        "init reads values",
    ),
    Mutant(
        6, "one array in two leaves", lambda _: assert_donation(_row(_state_of(lambda p: [jnp.zeros(2)] * 2)), SPEC),
        "in two places",
    ),
    Mutant(
        6, "keeps the caller's arrays", lambda _: assert_donation(_row(_state_of(core.values)), SPEC),
        "of the caller",
    ),
    Mutant(
        6, "gives away its own array", lambda _: assert_donation(_row(_gives_its_own()), SPEC), "of the method",
    ),
    Mutant(6, "a lost shard", lambda _: assert_stability(_GRID, SPEC, place=_loses_a_shard), "off by"),
    Mutant(
        7, "node that counts no mask",
        lambda folder: _judge_size(folder, _FreeMask(_ONES, _ONES > 0), bits=helpers.brute_bits), "bits and holds",
    ),
    Mutant(
        7, "node that counts no factors", lambda folder: _judge_size(folder, _FreeFactors(_ONES, _ONES)),
        "its fields need",
    ),
    Mutant(
        7, "node that is free under a mask", lambda folder: _judge_size(folder, _FreeUnderMasks(_ONES, _ONES)),
        "half and all",
    ),
    Mutant(
        7, "file longer than its ledger", lambda folder: assert_size({"w": jnp.ones(3)}, folder, _padded),
        "adds up",
    ),
    Mutant(7, "header for free", lambda folder: assert_size({"w": _ONES}, folder, _free_header), "adds up"),
    Mutant(8, "half precision", lambda folder: _judge_files(folder, save=_half_precision), "differ"),
    Mutant(8, "trusts damaged files", lambda folder: _judge_files(folder, load=_trusting), "was loaded"),
    Mutant(8, "error of another kind", lambda folder: _judge_files(folder, load=_careless), "instead of Artifact"),
    Mutant(8, "NumPy rounds", lambda folder: _judge_decoder(folder, _coarse_decoder), "other entries"),
    Mutant(8, "NumPy drops an axis", lambda folder: _judge_decoder(folder, _flat_decoder), "decodes to shape"),
    Mutant(
        9, "prunes at sparsity zero", lambda _: assert_zero_limit(_row(toys.mask(), neutral=toys.mask), SPEC),
        "off",
    ),
    Mutant(
        9, "loses a unit at full rank",
        lambda _: assert_zero_limit(
            _row(toys.factor(), neutral=lambda: _per_leaf(lambda x: x * (1 + 1e-6))), SPEC
        ),
        "off",
    ),
    Mutant(10, "views backwards", lambda _: testing.assert_composition(_scaled(), _GRID, SPEC, _backwards), "view and"),
    Mutant(
        10, "does not check", lambda _: testing.assert_composition(_FACTOR, _MASK, SPEC, _unchecked),
        "instead of a Value",
    ),
    Mutant(
        10, "refuses without a reason", lambda _: testing.assert_composition(_MASK, _GRID, SPEC, _mute),
        "without a reason",
    ),
]  # fmt: skip
