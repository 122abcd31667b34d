"""A store on disk: what it holds, how it is read, and that damage is named."""

import hashlib

import jax
import numpy as np
import pytest

from compressjax import coding, distill
from compressjax.distill.store import _teacher_store

VOCABULARY, WIDTH = 2000, 8
HEAD = {"head": 1.2 * jax.random.normal(jax.random.key(0), (WIDTH, VOCABULARY))}
BATCHES = [np.asarray(jax.random.normal(jax.random.key(i), (4, 16, WIDTH))) for i in range(1, 4)]


def teacher(params, x):
    return x @ params["head"]


def write(folder, **settings):
    return distill.write_teacher(teacher, HEAD, BATCHES, folder, **settings)


@pytest.mark.turns(2)
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
    size = sum(file.stat().st_size for file in tmp_path.iterdir() if file.name != ".lock")
    assert store.bytes_per_position == pytest.approx(size / store.positions)
    # Stored one by one, in float16, the logits take 4,000 bytes.
    own = sum((tmp_path / f"{i:06}.cjx").stat().st_size for i in range(3)) / store.positions
    assert own < (100 if components else 1000)


def test_targets_are_the_most_probable_tokens(tmp_path):
    store = write(tmp_path)
    log_q = store.log_probabilities(1)
    found = store.targets(1, 7)
    assert (found.tokens.shape, found.rest.shape) == ((4, 16, 7), (4, 16))
    np.testing.assert_array_equal(found.log_probabilities, -np.sort(-log_q, -1)[..., :7])
    np.testing.assert_array_equal(found.log_probabilities, np.take_along_axis(log_q, found.tokens, -1))
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(-1) + np.exp(found.rest), 1, rtol=1e-5)
    loss = distill.sparse_target_loss(teacher(HEAD, BATCHES[1]), *found, weights=np.ones((4, 16)))
    assert 0 <= float(loss) < 0.1
    with pytest.raises(ValueError, match="k=2000 must be"):
        store.targets(0, VOCABULARY)
    with pytest.raises(ValueError, match="batch 3 is not among the 3"):
        store.log_probabilities(3)


def test_files_are_compared_with_their_sums_when_they_are_read(tmp_path):
    write(tmp_path)
    store = distill.open_teacher(tmp_path)
    place = tmp_path / "000001.cjx"
    # A whole file of another batch: intact in itself, and not what the store wrote there.
    place.write_bytes((tmp_path / "000002.cjx").read_bytes())
    with pytest.raises(ValueError, match=r"000001.cjx is missing or damaged: its SHA-256"):
        store.log_probabilities(1)
    (tmp_path / "background.cjx").unlink()
    with pytest.raises(ValueError, match=r"background.cjx is missing or damaged"):
        distill.open_teacher(tmp_path)


def test_numbers_that_do_not_fit_are_named_with_their_file(tmp_path):
    """Files that were made to look whole, sums included."""
    write(tmp_path)
    store = distill.open_teacher(tmp_path)
    place, part = tmp_path / "000000.cjx", store.about.parts[0]

    def opened_with(**arrays):
        arrays = {**coding.read(tmp_path / "000001.cjx").leaves, **arrays}
        place.write_bytes(coding.dumps(arrays))
        forged = part._replace(sha256=hashlib.sha256(place.read_bytes()).hexdigest())
        return store._replace(about=store.about._replace(parts={**store.about.parts, 0: forged}))

    for arrays, match in (
        ({"coefficients": np.zeros((2**40, 0), np.int16)}, r"'coefficients' is int16\[1099511627776, 0\]"),
        ({"counts": np.full(64, 2**31 - 1, np.int32)}, "'counts' has numbers outside of 0 to 2000"),
        ({"counts": np.full(64, 2000, np.int32)}, r"sizes/\* hold \d+ numbers, and the counts add up to 128000"),
        ({"factors": np.zeros(64)}, "'factors' is float64"),
    ):
        with pytest.raises(ValueError, match=rf"000000.cjx: .*{match}"):
            opened_with(**arrays).log_probabilities(0)
    huge = {**store.about.parts, 3: part._replace(positions=2**32)}
    with pytest.raises(ValueError, match="batch 3 of .* has 4294967296 positions of 2000 tokens"):
        _teacher_store.opened(tmp_path, store.about._replace(parts=huge))
    head = tmp_path / "background.cjx"
    head.write_bytes(coding.dumps({**store.background._asdict(), "rank": np.zeros(VOCABULARY, np.int32)}))
    forged = store.about._replace(background=hashlib.sha256(head.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="background.cjx: 'rank' is not an order of the 2000 tokens"):
        _teacher_store.opened(tmp_path, forged)
