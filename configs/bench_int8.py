"""int8 weights and activations under `lift` against dense float32, and against qwix.

    python -m experiments.bench --config=configs/bench_int8.py

About two minutes on two cores. On a CPU with int8 instructions that XLA has kernels for: at least 4 times faster on
4096 x 4096 at 64 rows, at least 3 times on 3 x 3 convolutions of 64 channels and more, never slower at one row. XLA
hands int8 products to YNNPACK; as measured, that of jaxlib 0.12 uses avx512_vnni, that of jaxlib 0.10 does not, and is
then hardly faster than float32 (compare the same study under both before blaming the code).
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_int8.py:smoke` is small and promises nothing."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny shapes, few rounds, no bars"})
    config = ConfigDict()
    config.study = "int8"
    config.seed = 0
    config.timing = {"warmup": 3, "rounds": 20}
    config.dense = {"shapes": ((4096, 4096),), "rows": (1, 64, 256)}
    config.convolution = {"shapes": ((32, 64, 64, 3), (16, 128, 128, 3), (8, 256, 256, 3)), "images": (1, 64)}
    config.peers = ("qwix",)
    config.bars = (
        ("dense 4096x4096, 64 rows", "compressjax", "ratio", ">=", 4.0),
        ("dense 4096x4096, 1 row", "compressjax", "ratio", ">=", 1.0),
        ("conv .*, 64 images", "compressjax", "ratio", ">=", 3.0),
    )
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.dense = {"shapes": ((32, 16),), "rows": (1, 4)}
        config.convolution = {"shapes": ((8, 4, 4, 3),), "images": (2,)}
        config.bars = ()
    return config
