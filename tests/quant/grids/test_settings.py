"""Settings of grids in their several forms."""

import pytest

from compressjax import quant


@pytest.mark.parametrize(
    ("settings", "scale", "second"),
    [
        ({}, "float32", None),
        ({"second": 16}, "uint8", 16),
        ({"scale": "e4m3"}, "e4m3", "tensor"),
        ({"format": "nf4"}, "uint8", 256),
        ({"format": "nf4", "scale": "float16"}, "float16", None),
        ({"format": "nf4", "second": "tensor"}, "uint8", "tensor"),
        ({"format": "nvfp4", "second": 64}, "e4m3", 64),
        ({"format": "mxfp4", "scale": "bfloat16"}, "bfloat16", None),
    ],
)
def test_scales(settings, scale, second):
    grid = quant.grid(**settings)
    assert (grid.scale, grid.second) == (scale, second)


def test_ranges_with_numbers():
    assert quant.grid(clip="percentile").clip == ("percentile", 99.9)
    assert quant.grid(clip=["percentile", 99]).clip == ("percentile", 99.0)
    assert quant.grid("ternary", clip="twn").clip == ("twn", 0.75)
    assert quant.grid("ternary").clip == "exact"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip": ("mse", 3)}, r"clip=\('mse', 3\) takes no number; give 'mse'"),
        ({"clip": ("percentile", 120)}, "needs a number above 0 and up to 100"),
        ({"clip": "octav", "symmetric": False}, r"one of \('absmax', 'mse'\) for int8 with a zero point"),
        ({"format": "binary", "clip": "mse"}, r"clip='mse' must be one of \('mean',\) for binary"),
        ({"format": "nf4", "symmetric": False}, "symmetric=False needs an integer format; nf4 has no zero point"),
        ({"format": "mxfp4", "activation": "dynamic"}, "needs integer codes; mxfp4 has none: use int8"),
        ({"scale": "int4"}, "scale='int4' must be one of"),
        ({"scale": "float16", "second": 4}, "second=4 quantizes the scales; scale='float16' must be 'uint8' or 'e4m3'"),
        ({"second": "row"}, "second must be None, 'tensor' or a number of scales such as 256"),
        ({"second": 0}, "second must be None, 'tensor' or a number"),
    ],
)
def test_what_does_not_go_together(settings, message):
    with pytest.raises(ValueError, match=message):
        quant.grid(**settings)
