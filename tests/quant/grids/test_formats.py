"""The table of formats."""

import ml_dtypes
import numpy as np
import pytest

from compressjax.core._settings import as_int
from compressjax.quant.grids._formats import FORMATS, format_name


def test_names_and_bits():
    assert format_name("rtn", 4, as_int) == format_name("rtn", "int4", as_int) == "int4"
    assert [FORMATS[f"int{bits}"].largest for bits in (2, 4, 8)] == [1, 7, 127]
    with pytest.raises(ValueError, match="rtn: format 'int9' is not known; use one of int2, "):
        format_name("rtn", "int9", as_int)


@pytest.mark.parametrize("form", [form for form in FORMATS.values() if form.kind == "float"], ids=lambda f: f.name)
def test_floats_are_those_of_ml_dtypes(form):
    info = ml_dtypes.finfo(form.table or form.dtype)
    assert (form.bits, form.mantissa, form.emin) == (info.bits, info.nmant, info.minexp)
    assert form.largest == float(info.max)
    assert form.emax == np.floor(np.log2(form.largest))


def test_blocks_of_the_published_formats():
    """OCP MX: 32 elements a power of two; NVFP4: 16 and a float8; QLoRA: 64, and 256 scales a scale."""
    assert {f.granularity for name, f in FORMATS.items() if name.startswith("mx")} == {32}
    assert {f.scale for name, f in FORMATS.items() if name.startswith("mx")} == {"e8m0"}
    assert (FORMATS["nvfp4"].granularity, FORMATS["nvfp4"].scale) == (16, "e4m3")
    assert (FORMATS["nf4"].granularity, FORMATS["nf4"].second) == (64, 256)
