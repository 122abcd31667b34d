"""An interrupted run goes on where it stood, with the same bits; other sources and reducers are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data import laws

ROWS = laws.digits()[:40]
BATCHES = np.split(ROWS, 5)


class StoppedError(Exception):
    pass


def stop_at(rows):
    def progress(seen):
        if seen == rows:
            raise StoppedError

    return progress


def test_a_stopped_run_goes_on(tmp_path):
    file, seen = tmp_path / "state" / "pca.npz", []
    with pytest.raises(StoppedError):
        data.fit(data.pca(3), BATCHES, checkpoint=file, every=2, progress=stop_at(32))
    assert [path.name for path in file.parent.iterdir()] == ["pca.npz"]
    resumed = data.fit(data.pca(3), BATCHES, checkpoint=file, every=2, progress=seen.append)
    assert seen == [40]
    laws.assert_close(resumed, data.fit(data.pca(3), BATCHES), 0.0)
    assert not file.exists()


def test_a_run_of_several_passes_goes_on_in_its_pass(tmp_path):
    def again(state):
        total, turns = state
        return (total, turns + 1), turns < 2

    passes = data.Reducer(
        lambda n: (jnp.zeros(n), jnp.zeros((), jnp.int32)), lambda s, x: (s[0] * 0.9 + x.sum(0), s[1]),
        lambda a, b: a, lambda s: s, "passes", again=again,
    )  # fmt: skip
    calls = []

    def progress(seen):
        calls.append(seen)
        if len(calls) == 8:
            raise StoppedError

    file = tmp_path / "state.npz"
    with pytest.raises(StoppedError):
        data.fit(passes, BATCHES, checkpoint=file, every=1, progress=progress)
    resumed = data.fit(passes, BATCHES, checkpoint=file, every=1, progress=calls.append)
    assert calls[8:] == [32, 40, 8, 16, 24, 32, 40]
    laws.assert_close(resumed, data.fit(passes, BATCHES), 0.0)


def test_what_does_not_belong_is_refused_by_name(tmp_path):
    file = tmp_path / "state.npz"
    with pytest.raises(StoppedError):
        data.fit(data.standard_scaler(), BATCHES, checkpoint=file, every=1, progress=stop_at(24))
    kept = file.read_bytes()
    other = [BATCHES[0] + 1, *BATCHES[1:]]
    late = [*BATCHES[:2], BATCHES[2] + 1, *BATCHES[3:]]
    for reducer, source, said in [
        (data.pca(3), BATCHES, r"state.npz is a checkpoint of standard_scaler, not of pca\(3\)"),
        (data.standard_scaler(), other, "over another source: rows 0 to 7 differ"),
        (data.standard_scaler(), late, "over another source: rows 16 to 23 differ"),
        (data.standard_scaler(), BATCHES[:2], "of at least 24 rows; this one has 16"),
        (data.standard_scaler(), [ROWS[:8], ROWS[8:30]], "ends at row 24, inside of the batch of rows 8 to 29"),
    ]:
        with pytest.raises(ValueError, match=said):
            data.fit(reducer, source, checkpoint=file, every=1)
        assert file.read_bytes() == kept
    file.write_bytes(kept[:50])
    with pytest.raises(ValueError, match="state.npz is no checkpoint of fit"):
        data.fit(data.standard_scaler(), BATCHES, checkpoint=file)
    with pytest.raises(ValueError, match="every=0"):
        data.fit(data.standard_scaler(), BATCHES, checkpoint=tmp_path / "new", every=0)
