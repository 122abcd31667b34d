"""Writing a store: what it costs, that it goes on after a kill, and what it refuses."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill
from compressjax.coding._lock import Lock
from tests.distill.store.test_teacher_store import BATCHES, HEAD, VOCABULARY, WIDTH, teacher, write


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


def test_a_batch_costs_one_line_of_the_journal(tmp_path):
    store = write(tmp_path)
    lines = (tmp_path / "parts.jsonl").read_text().splitlines()
    assert [json.loads(line)["batch"] for line in lines] == [0, 1, 2]
    # What a killed writer began is cut off, and nothing is computed again.
    (tmp_path / "parts.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:9])
    again = write(tmp_path)
    assert again.about == store.about
    assert (tmp_path / "parts.jsonl").read_text().splitlines() == lines
    assert distill.open_teacher(tmp_path).about == store.about


def test_a_second_writer_is_refused(tmp_path):
    lock = Lock(tmp_path / ".lock")
    assert lock.acquire()
    with pytest.raises(ValueError, match=f"is being written by process {os.getpid()} on "):
        write(tmp_path)
    lock.release()
    assert write(tmp_path).positions == 192


def test_rounding_of_bfloat16_is_no_training_mode(tmp_path):
    """Another order of a sum of bfloat16 moves logits near 20 by an eighth; training mode moves them by more."""

    def coarse(params, x):
        logits = (6 * teacher(params, x)).astype(jnp.bfloat16)
        return logits + (len(x) == 4) * jnp.abs(logits) * jnp.bfloat16(2**-8)  # rounded up by half a unit

    def normed(params, x):
        z = coarse(params, x)
        return (z - z.mean((0, 1), keepdims=True)) / z.std((0, 1), keepdims=True)

    logits = [np.asarray(coarse(HEAD, x), np.float32) for x in (BATCHES[0], BATCHES[0][2:])]
    assert np.abs(logits[0][2:] - logits[1]).max() > 0.1
    assert distill.write_teacher(coarse, HEAD, BATCHES[:1], tmp_path / "coarse").positions == 64
    with pytest.raises(ValueError, match="training mode"):
        distill.write_teacher(normed, HEAD, BATCHES[:1], tmp_path / "normed")


def test_random_keys_and_static_functions_of_the_weights_count_alike_everywhere(tmp_path):
    def noisy(params, x):
        return teacher(params, x) + 0 * jax.random.uniform(params["key"])

    def tree():
        return {**HEAD, "key": jax.random.key(0), "act": jax.tree_util.Partial(lambda x: x)}

    distill.write_teacher(noisy, tree(), BATCHES[:1], tmp_path)
    assert distill.open_teacher(tmp_path, params=tree()).positions == 64
    with pytest.raises(ValueError, match="is of another teacher"):
        distill.open_teacher(tmp_path, params={**tree(), "key": jax.random.key(1)})
