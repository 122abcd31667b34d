"""The table of formats."""

import pytest

from compressjax.core._settings import as_int
from compressjax.quant.grids._formats import FORMATS, format_name


def test_names_and_bits():
    assert format_name("rtn", 4, as_int) == format_name("rtn", "int4", as_int) == "int4"
    assert [FORMATS[f"int{bits}"].largest for bits in (2, 4, 8)] == [1, 7, 127]
    with pytest.raises(ValueError, match="rtn: format 'int9' is not known; use one of int2, "):
        format_name("rtn", "int9", as_int)
