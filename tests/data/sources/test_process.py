"""Parts of processes cover all rows once, and merge to the whole."""

import numpy as np
import pytest

from compressjax import data


def test_parts_cover_everything_once(draw):
    x = draw.normal(size=(11, 2)).astype(np.float32)
    parts = [data.process_part(x, p, 3) for p in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), x)
    assert {len(part) for part in parts} == {3, 4}
    reducer = data.min_max_scaler()
    state = data.gathered(reducer, parts[0])
    for part in parts[1:]:
        state = reducer.merge(state, data.gathered(reducer, part))
    np.testing.assert_array_equal(reducer.finalize(state).shift, x.min(0))
    assert data.process_part(x) is not None
    with pytest.raises(ValueError, match=r"index=3 must be in \[0, 3\)"):
        data.process_part(x, 3, 3)
