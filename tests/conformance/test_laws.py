"""Every law over every row: all methods, all nodes, drawn shapes, dtypes and values."""

import pathlib
import tempfile

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compressjax import core, tensors, testing
from compressjax.testing._lifting import WAYS, assert_lifted, assert_sharded
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
from tests import helpers
from tests.conformance import draws, methods, nodes

SEEDS = st.integers(0, 1000)
# One row of each method stands for it in pairs.
_PAIRED = {
    methods.home(row): row for row in reversed(methods.ROWS) if methods.home(row) not in ("core.chain", "core.sequence")
}


def _first(rows: list, kind) -> pytest.MarkDecorator:
    """Every row with its place in the table; rows of a kind after its first are thorough: they differ in settings."""
    seen, cases = set(), []
    for turn, row in enumerate(rows):
        cases.append(pytest.param(turn, row, id=row.name, marks=pytest.mark.thorough if kind(row) in seen else ()))
        seen.add(kind(row))
    return pytest.mark.parametrize(("turn", "row"), cases)


def drawn(row: nodes.NodeRow, seed: int, dtype: str, size: int) -> core.Node:
    return row.make(np.random.default_rng(seed), nodes.SIZES[size], dtype)


every_method = _first(methods.ROWS, methods.home)
every_node = _first(nodes.ROWS, lambda row: row.name.partition(",")[0])
every_neutral = _first([row for row in methods.ROWS if row.neutral], methods.home)
# One method of each kind of contract: nothing; masks that move after the step, before it, over weights that all learn,
# over some that learn; values pulled to zero; shifted weights from statistics; scores of the whole tree; factors,
# grids, tables, views of nodes.
KINDS = [
    _PAIRED[name]
    for name in (
        "core.identity", "prune.gradual", "prune.rigl", "prune.ste", "prune.topkast", "prune.soft_threshold",
        "prune.sparsegpt", "prune.one_shot", "lowrank.svd", "quant.fake_quant", "share.kmeans", "toys.ranged",
    )
]  # fmt: skip


def _turn(i: int) -> testing.Example:
    """The tree on which row `i` is judged: every dtype, rank and kind of values has its turn."""
    return testing.Example(*draws.VARIANTS[0 if i % 4 < 2 else 1 + i % 2], draws.KINDS[i % 5], seed=i)


some_node = given(seed=SEEDS, dtype=st.sampled_from(nodes.DTYPES), size=st.integers(0, len(nodes.SIZES) - 1))


def test_every_method_has_a_row() -> None:
    rows = {methods.home(row) for row in methods.ROWS}
    assert methods.exported() - rows == set()
    assert len({row.name for row in methods.ROWS}) == len(methods.ROWS)


def test_every_node_has_a_row() -> None:
    classes = {getattr(tensors, name) for name in tensors.__all__ if isinstance(getattr(tensors, name), type)}
    outermost = {type(drawn(row, 0, "float32", 0)) for row in nodes.ROWS}
    assert classes == outermost
    assert len({row.name for row in nodes.ROWS}) == len(nodes.ROWS)


@every_method
def test_method(turn: int, row: testing.Method, tmp_path: pathlib.Path) -> None:
    """Laws 1 to 4, 6 and 7, on one tree: together, because they share compiled functions."""
    spec = _turn(turn)
    assert_stored(row, spec, tmp_path)
    assert_selection(row, spec)
    assert_stability(row, spec)
    assert_donation(row, spec)


@pytest.mark.thorough
@every_method
@settings(max_examples=8)
@given(data=st.data())
def test_what_is_stored(turn: int, row: testing.Method, data: st.DataObject) -> None:
    """Laws 1, 2, 3 and 7 on drawn trees."""
    with tempfile.TemporaryDirectory() as folder:
        assert_stored(
            row, data.draw(draws.specs((draws.VARIANTS[0], draws.VARIANTS[1 + turn % 2]))), pathlib.Path(folder)
        )


def assert_stored(row: testing.Method, spec: testing.Example, folder: pathlib.Path) -> None:
    """The nodes' own rows judge law 8."""
    assert_shape(row, spec)
    assert_view(row, spec)
    assert_projection(row, spec)
    for run in row.runs(spec, (3,)):
        assert_size(run.tree, folder, bits=helpers.brute_bits)


@pytest.mark.thorough
@every_node
def test_node_on_devices(turn: int, row: nodes.NodeRow) -> None:
    """Law 5 with rows on two devices, under `jit`, `shard_map` and `pmap`."""
    assert_sharded(drawn(row, turn, nodes.DTYPES[0], 0), turn)


@every_node
def test_node(turn: int, row: nodes.NodeRow, tmp_path: pathlib.Path) -> None:
    """Laws 1, 5, 7 and 8 of one node; those that compile nothing, of another size and dtype as well."""
    node = drawn(row, turn, nodes.DTYPES[turn % 3], turn % 2)
    assert_lifted(node, turn)
    assert_sharded(node, turn, ways=WAYS[turn % 3 : turn % 3 + 1])
    for each in (node, drawn(row, turn + 1, nodes.DTYPES[(turn + 1) % 3], (turn + 1) % len(nodes.SIZES))):
        assert_node_shape(each)
        tree = {"w": each, "b": helpers.array(turn, (3,), each.dtype.name), "n": jax.numpy.arange(3)}
        assert_size(tree, tmp_path, bits=helpers.brute_bits)
        assert_lossless(tree, tmp_path)
        assert_decoded(tree, tmp_path)


@pytest.mark.thorough
@every_node
@settings(max_examples=8)
@some_node
def test_drawn_nodes(turn: int, row: nodes.NodeRow, seed: int, dtype: str, size: int) -> None:
    """All laws of nodes."""
    testing.check_node(drawn(row, seed, dtype, size))


@every_neutral
def test_zero_limit(turn: int, row: testing.Method) -> None:
    assert_zero_limit(row, testing.Example(*draws.VARIANTS[turn % 2], draws.KINDS[turn % 5], seed=turn))


@pytest.mark.thorough
@every_neutral
@settings(max_examples=8)
@given(spec=draws.specs(draws.VARIANTS[:2]))
def test_zero_limit_of_drawn_trees(turn: int, row: testing.Method, spec: testing.Example) -> None:
    assert_zero_limit(row, spec)


@pytest.mark.turns(2)
@pytest.mark.parametrize("combine", [core.chain, core.sequence], ids=["chain", "sequence"])
@pytest.mark.parametrize("first", KINDS, ids=methods.home)
def test_composition(first: testing.Method, combine) -> None:
    """Every ordered pair of kinds, on one tree; their compiled parts are shared."""
    assert _broken_pairs(first, KINDS, combine) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("combine", [core.chain, core.sequence], ids=["chain", "sequence"])
@pytest.mark.parametrize("first", _PAIRED.values(), ids=_PAIRED)
def test_composition_of_all(first: testing.Method, combine) -> None:
    """Every ordered pair of methods."""
    assert _broken_pairs(first, list(_PAIRED.values()), combine) == {}


def _broken_pairs(first: testing.Method, others: list[testing.Method], combine) -> dict[str, str]:
    problems = {}
    for second in others:
        try:
            testing.assert_composition(first, second, testing.Example(*draws.VARIANTS[0], seed=1), combine)
        except testing.Broken as error:
            problems[methods.home(second)] = str(error)
    return problems


# Were everything refused, law 10 would hold of nothing; these are what people combine.
RUN = {
    core.chain: [
        ("prune.magnitude", "quant.fake_quant"), ("prune.gradual", "quant.fake_quant"), ("prune.nonzero", "quant.rtn"),
        ("prune.gradual", "share.kmeans"), ("prune.magnitude", "prune.gradual"), ("core.identity", "lowrank.svd"),
    ],
    core.sequence: [
        ("lowrank.svd", "quant.rtn"), ("lowrank.svd", "quant.fake_quant"), ("lowrank.svd", "prune.gradual"),
        ("lowrank.svd", "share.kmeans"), ("prune.magnitude", "quant.rtn"),
    ],
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("combine", "first", "second"),
    [
        pytest.param(combine, _PAIRED[first], _PAIRED[second], id=f"{combine.__name__}, {first}, {second}")
        for combine, pairs in RUN.items()
        for first, second in pairs
    ],
)
def test_pairs_that_must_run(combine, first: testing.Method, second: testing.Method) -> None:
    assert testing.assert_composition(first, second, testing.Example(*draws.VARIANTS[0], seed=1), combine)
