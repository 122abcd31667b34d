"""Splits against exhaustive search and against hidden block structure."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import lift, measure, structure

KEY = jax.random.key(0)


def exhaustive(squares):
    """Most of the squared norm that two blocks can hold, over all balanced assignments of both sides."""
    n, m = squares.shape
    best = 0.0
    for ins in itertools.combinations(range(n), n // 2):
        for outs in itertools.combinations(range(m), m // 2):
            rest_in, rest_out = sorted(set(range(n)) - set(ins)), sorted(set(range(m)) - set(outs))
            best = max(best, squares[np.ix_(ins, outs)].sum() + squares[np.ix_(rest_in, rest_out)].sum())
    return best / squares.sum()


@pytest.mark.parametrize("seed", range(4))
def test_as_good_as_exhaustive_search(seed):
    weight = np.random.default_rng(seed).normal(size=(6, 6))
    _, info = structure.split(weight, 2, key=KEY, restarts=30)
    assert info["kept"] == pytest.approx(exhaustive(weight**2), rel=1e-9)


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_hidden_blocks_are_found(blocks, draw):
    weight = np.kron(np.eye(blocks), np.ones((6, 4))) * draw.normal(size=(6 * blocks, 4 * blocks))
    weight += 0.05 * draw.normal(size=weight.shape)
    mixed = weight[draw.permutation(len(weight))][:, draw.permutation(weight.shape[1])]
    _, info = structure.split(mixed, blocks, key=KEY)
    assert info["kept"] == pytest.approx(
        (weight**2 * np.kron(np.eye(blocks), np.ones((6, 4)))).sum() / (weight**2).sum()
    )


def test_the_node_holds_the_weights_in_the_blocks_at_a_share_of_the_operations(draw):
    weight = jnp.asarray(draw.normal(size=(12, 8)), jnp.float32)
    node, info = structure.split(weight, 4, key=KEY)
    inside = np.asarray(node.materialize()) != 0
    np.testing.assert_array_equal(np.asarray(node.materialize())[inside], np.asarray(weight)[inside])
    assert inside.sum() == 12 * 8 / 4
    assert info["kept"] == pytest.approx(float((weight[inside] ** 2).sum() / (weight**2).sum()))
    x = jnp.ones((5, 12))
    blocked = measure.flops(lambda x: lift(jnp.matmul)(x, node), x)
    assert blocked < 0.5 * measure.flops(lambda x: x @ weight, x)


def test_everything_is_kept_by_one_block():
    assert structure.split(np.ones((3, 2)), 1, key=KEY)[1]["kept"] == 1


def test_chains_share_the_units_between(draw):
    hidden = [np.kron(np.eye(2), np.ones((3, 4))), np.kron(np.eye(2), np.ones((4, 2)))]
    order = [draw.permutation(n) for n in (6, 8, 4)]
    mixed = [w[np.ix_(a, b)] * (1 + draw.uniform(size=w.shape)) for w, a, b in zip(hidden, order, order[1:])]
    found, info = structure.split_chain(mixed, 2, key=KEY)
    assert info["kept"] == pytest.approx(1)
    x = jnp.asarray(draw.normal(size=(3, 6)), jnp.float32)
    want = jax.nn.relu(x @ jnp.asarray(mixed[0], jnp.float32)) @ jnp.asarray(mixed[1], jnp.float32)
    got = lift(lambda ws, x: jax.nn.relu(x @ ws[0]) @ ws[1], on_fallback="raise")(found, x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[0].outputs, found[1].inputs)


def test_penalty_by_hand():
    sure = structure.Assignment((50.0 * jnp.eye(2), 50.0 * jnp.eye(2)))
    weight = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert float(structure.split_penalty([weight], sure)) == pytest.approx((4 + 9) / 30, rel=1e-5)
    even = structure.Assignment((jnp.zeros((2, 2)), jnp.zeros((2, 2))))
    assert float(structure.split_penalty([weight], even)) == pytest.approx(0.5 + np.log(2), rel=1e-5)
    lopsided = structure.Assignment((jnp.array([[50.0, 0], [50.0, 0]]), jnp.array([[50.0, 0], [50.0, 0]])))
    assert float(structure.split_penalty([weight], lopsided)) == pytest.approx(4 * 0.25, rel=1e-5)


def test_training_against_the_penalty_finds_the_blocks():
    # What the blocks hold in the end depends on the noise; the fixture's draw ends at 0.989.
    draw = np.random.default_rng(1)
    target = np.kron(np.eye(2), np.ones((4, 4)))[draw.permutation(8)]
    weight = jnp.asarray(target + 0.3 * draw.normal(size=(8, 8)), jnp.float32)
    held = weight, structure.assignment((8, 8), 2, KEY)
    tx = optax.adam(0.05)

    def loss(held):
        w, assigned = held
        return jnp.mean((w - weight) ** 2) + structure.split_penalty([w], assigned, certainty=0.1)

    @jax.jit
    def step(held, state):
        updates, state = tx.update(jax.grad(loss)(held), state)
        return optax.apply_updates(held, updates), state

    state, before = tx.init(held), structure.split(weight, 2, key=KEY)[1]["kept"]
    for _ in range(200):
        held, state = step(held, state)
    after, info = structure.split(held[0], 2, key=KEY)
    assert info["kept"] > max(0.99, before)
    ours = np.asarray(held[1].logits[0]).argmax(1)
    assert len({tuple(sorted(ours[block].tolist())) for block in after.inputs}) == 2
    assert all(len(set(ours[block])) == 1 for block in after.inputs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structure.split(np.ones((4, 6)), 4, key=KEY), "does not divide both"),
        (lambda: structure.split_chain([np.ones((4, 6)), np.ones((4, 2))], 2, key=KEY), "not a chain"),
        (lambda: structure.split_chain([np.ones((4, 6))], 4, key=KEY), "does not divide all"),
        (lambda: structure.split_chain([np.ones((4, 6))], 0, key=KEY), "blocks=0 does not divide all"),
        (lambda: structure.split(np.ones((4, 4)), 2, key=KEY, restarts=0), "at least 1"),
        (lambda: structure.split_chain([np.ones((4, 4))], 2, key=KEY, restarts=0), "at least 1"),
        (
            lambda: structure.split_chain([np.ones((4, 4))], 2, key=KEY, assigned=structure.assignment((4, 6), 2, KEY)),
            r"shapes \[\(4, 2\), \(6, 2\)\].*\[\(4, 2\), \(4, 2\)\]",
        ),
        (lambda: structure.split_penalty([jnp.ones((2, 2))], structure.Assignment((jnp.ones((2, 2)),))), "2 layers"),
    ],
)
def test_bad_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_learned_assignment_is_a_start():
    first, second = np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0])
    blocks = (first[:, None] == second[None]).astype(float)
    sure = structure.Assignment(tuple(jnp.asarray(5.0 * np.eye(2)[x]) for x in (first, second, first)))
    found, info = structure.split_chain([blocks, blocks.T], 2, key=KEY, restarts=0, assigned=sure)
    assert info["kept"] == pytest.approx(1)
    for split, whole in zip(found, (blocks, blocks.T), strict=True):
        np.testing.assert_array_equal(split.materialize(), whole)
