"""Values of published code, at a failure probability of 5 %."""

from typing import NamedTuple


class Row(NamedTuple):
    """Rows, errors and bits, and the bounds that follow."""

    examples: int
    errors: int
    bits: int
    catoni: float
    kl: float | None
    tail: float
    quad: float
    mcallester: float


ROWS = (
    Row(60000, 0, 1000, 0.011926, 0.011637, 0.011535, 0.023411, 0.076765),
    Row(60000, 600, 1000, 0.033909, None, 0.033287, 0.040970, 0.086765),
    Row(60000, 3000, 2000, 0.111601, 0.111141, 0.110856, 0.126800, 0.158024),
    Row(60000, 3000, 4000, 0.144732, 0.144354, 0.144120, 0.178739, 0.202387),
    Row(60000, 12000, 8000, 0.401614, 0.401265, 0.401041, 0.506112, 0.415237),
    Row(50000, 15000, 10000, 0.561323, 0.560987, 0.560775, 0.759054, 0.563540),
    Row(4000, 1200, 500, 0.513041, 0.507749, 0.505151, 0.635608, 0.511515),
)
