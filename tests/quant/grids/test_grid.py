"""The description of a grid, read from settings."""

import pytest

from compressjax import quant
from compressjax.quant._grid import make_grid


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 1}, "bits=1 must be an integer from 2 to 8"),
        ({"bits": 9}, "bits=9"),
        ({"bits": 4.0}, "bits is a float 4.0; it must be an integer"),
        ({"granularity": "row"}, "granularity='row'"),
        ({"granularity": 0}, "granularity=0"),
        ({"granularity": (4, 4, 4)}, "or the sizes of a tile"),
        ({"activation": "int8"}, "activation='int8'"),
        ({"clip": "max"}, "clip='max'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        grid(**settings)


def test_a_ready_grid_and_its_settings():
    ready = quant.grid(4, granularity=64, symmetric=False)
    assert ready == make_grid("rtn", "int4", 64, False)
    assert hash(ready) == hash(quant.grid("int4", granularity=64, symmetric=False))
    assert make_grid("rtn", ready) is ready
    assert str(quant.grid(granularity=(8, 8))) == "int8, granularity=(8, 8)"
    assert quant.rtn(ready).name == "rtn(int4, granularity=64)"
    with pytest.raises(ValueError, match=r"rtn: the grid is ready, so \['granularity', 'clip'\] would have no effect"):
        quant.rtn(ready, granularity=32, clip="mse")
