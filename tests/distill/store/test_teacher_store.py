"""A store on disk: what it holds, what it costs, that it goes on, and what it refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill

VOCABULARY, WIDTH = 2000, 8
HEAD = {"head": 1.2 * jax.random.normal(jax.random.key(0), (WIDTH, VOCABULARY))}
BATCHES = [np.asarray(jax.random.normal(jax.random.key(i), (4, 16, WIDTH))) for i in range(1, 4)]


def teacher(params, x):
    return x @ params["head"]


def write(folder, **settings):
    return distill.write_teacher(teacher, HEAD, BATCHES, folder, **settings)


@pytest.mark.parametrize("components", [0, WIDTH])
def test_it_holds_what_it_says(tmp_path, components):
    write(tmp_path, components=components, cut=1e-5, top=VOCABULARY)
    store = distill.open_teacher(tmp_path, params=HEAD, batches=BATCHES)
    assert store.positions == 3 * 64
    costs = []
    for i, batch in enumerate(BATCHES):
        log_p = np.asarray(jax.nn.log_softmax(teacher(HEAD, batch)), np.float64)
        log_q = store.log_probabilities(i)
        assert log_q.shape == (4, 16, VOCABULARY)
        costs.append((np.exp(log_p) * (log_p - log_q)).sum(-1).mean())
    assert store.divergence == pytest.approx(np.mean(costs), rel=1e-3)
    assert store.divergence < 0.01
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert store.bytes_per_position == pytest.approx(size / store.positions)
    # Stored one by one, in float16, the logits take 4,000 bytes.
    own = sum((tmp_path / f"{i:06}.cjx").stat().st_size for i in range(3)) / store.positions
    assert own < (100 if components else 1000)


@pytest.mark.parametrize("components", [0, WIDTH])
def test_masked_classes_cost_nothing(tmp_path, components):
    masked = jnp.where(jnp.arange(VOCABULARY) % 3 == 0, -1e9, 0.0)[None, None]
    store = distill.write_teacher(
        lambda p, x: x @ p["head"] + masked,
        HEAD,
        BATCHES[:1],
        tmp_path,
        components=components,
        cut=1e-5,
        top=VOCABULARY,
    )
    assert store.divergence < 0.01
    assert np.exp(store.log_probabilities(0)[..., ::3]).sum(-1).max() < 0.01


def test_targets_are_the_most_probable_tokens(tmp_path):
    store = write(tmp_path)
    log_q = store.log_probabilities(1).reshape(-1, VOCABULARY)
    found = store.targets(1, 7)
    np.testing.assert_array_equal(found.log_probabilities, -np.sort(-log_q, 1)[:, :7])
    np.testing.assert_array_equal(found.log_probabilities, np.take_along_axis(log_q, found.tokens, 1))
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(1) + np.exp(found.rest), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="k=2000 must be"):
        store.targets(0, VOCABULARY)
    with pytest.raises(ValueError, match="batch 3 is not among the 3"):
        store.log_probabilities(3)


class KilledError(Exception):
    """Stands for a signal."""


def test_a_killed_run_goes_on_and_computes_nothing_twice(tmp_path):
    whole = write(tmp_path / "whole")

    def kill(done, count):
        if done == 2:
            raise KilledError

    calls = []

    def counted(params, x):
        jax.debug.callback(lambda: calls.append(x.shape))
        return teacher(params, x)

    with pytest.raises(KilledError):
        distill.write_teacher(counted, HEAD, BATCHES, tmp_path / "part", progress=kill)
    with pytest.raises(ValueError, match="lacks 1 of 3 batches"):
        distill.open_teacher(tmp_path / "part")
    jax.effects_barrier()
    calls.clear()
    distill.write_teacher(counted, HEAD, BATCHES, tmp_path / "part")
    jax.effects_barrier()
    assert len(calls) == 1
    for file in (tmp_path / "whole").glob("*.cjx"):
        assert file.read_bytes() == (tmp_path / "part" / file.name).read_bytes()
    # A damaged file is made again, and only that.
    (tmp_path / "part" / "000000.cjx").write_bytes(b"damaged")
    calls.clear()
    distill.write_teacher(counted, HEAD, BATCHES, tmp_path / "part")
    jax.effects_barrier()
    assert len(calls) == 1
    store = distill.open_teacher(tmp_path / "part")
    np.testing.assert_array_equal(store.log_probabilities(0), whole.log_probabilities(0))


def test_another_teacher_other_data_and_other_settings_are_refused(tmp_path):
    write(tmp_path)
    other = {"head": HEAD["head"].at[0, 0].add(1e-3)}
    with pytest.raises(ValueError, match="is of another teacher"):
        distill.open_teacher(tmp_path, params=other)
    with pytest.raises(ValueError, match="is of another teacher"):
        distill.write_teacher(teacher, other, BATCHES, tmp_path)
    with pytest.raises(ValueError, match="is of another function with these parameters"):
        distill.write_teacher(lambda p, x: -2 * x @ p["head"], HEAD, BATCHES, tmp_path)
    with pytest.raises(ValueError, match="is of other data"):
        distill.open_teacher(tmp_path, batches=BATCHES[::-1])
    with pytest.raises(ValueError, match=r"other settings \(\{'step': 0.25.*'step': 0.5"):
        write(tmp_path, step=0.5)
    assert json.loads((tmp_path / "store.json").read_text())["settings"]["step"] == 0.25


def test_teachers_in_training_mode_are_refused(tmp_path):
    def normed(params, x):
        z = teacher(params, x)
        return (z - z.mean((0, 1), keepdims=True)) / z.std((0, 1), keepdims=True)

    def dropped(params, x):
        return teacher(params, x * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape))

    for training in (normed, dropped):
        with pytest.raises(ValueError, match="training mode"):
            distill.write_teacher(training, HEAD, BATCHES, tmp_path)


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="step=0"):
        write(tmp_path, step=0.0)
    with pytest.raises(ValueError, match="not 0"):
        distill.write_teacher(teacher, HEAD, [], tmp_path)
    with pytest.raises(ValueError, match="components=64 needs a first batch of more positions than its 64"):
        write(tmp_path, components=64)
    with pytest.raises(ValueError, match="of batch 0 must be finite"):
        distill.write_teacher(lambda p, x: jnp.log(-jnp.abs(x)), HEAD, BATCHES, tmp_path)
