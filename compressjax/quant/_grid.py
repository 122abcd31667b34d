"""The functions of `quant.grids` that methods call, in one place."""

from compressjax.quant.grids._activations import activation_scale as activation_scale
from compressjax.quant.grids._activations import check_range as check_range
from compressjax.quant.grids._blocks import block_shape as block_shape
from compressjax.quant.grids._blocks import own_axes as own_axes
from compressjax.quant.grids._codes import nearest as nearest
from compressjax.quant.grids._codes import round_codes as round_codes
from compressjax.quant.grids._grid import Grid as Grid
from compressjax.quant.grids._grid import make_grid as make_grid
from compressjax.quant.grids._quantize import place as place
from compressjax.quant.grids._quantize import quantize as quantize
from compressjax.quant.grids._ranges import best_ratio as best_ratio
from compressjax.quant.grids._scales import fit as fit
