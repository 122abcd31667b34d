"""The functions of grids that methods call."""

from compressjax.quant import _grid
from compressjax.quant.grids import Grid


def test_the_names_lead_to_one_description():
    assert isinstance(_grid.make_grid("rtn", 8), Grid)
    assert _grid.block_shape("k", (4, 2), _grid.make_grid("rtn", 8)) == (1, 2)
