"""Whole networks in int8 under `lift` against float32 JAX, and against onnxruntime in float32 and int8.

    python -m experiments.bench --config=configs/bench_networks.py

About five minutes on two cores. The first line that it prints names the processor's integer instructions: with none of
avx_vnni, avx512_vnni and amx_int8, and with jaxlib 0.10 anywhere, expect little from int8; run it under jaxlib 0.12.
`prepare` runs in int8 only what its rule takes for faster; every case prints how many leaves that are. Networks of none
are the float32 program, and any ratio other than 1 is noise. `--config.keep=integers` keeps int8 everywhere.
"""

from ml_collections import ConfigDict

from configs.common import arguments

IMAGE, ROWS, TOKENS, PHOTO = (28, 28, 1), (28, 28), (128, 384), (224, 224, 3)


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_networks.py:smoke` is small and promises nothing."""
    smoke = "smoke" in arguments(text, {"smoke": "one network, few rounds, no bars"})
    config = ConfigDict()
    config.study = "networks"
    config.seed = 0
    config.timing = {"warmup": 3, "rounds": 20}
    shapes = [(name, (n, *IMAGE)) for name in ("LeNet-5", "VGG", "ResNet") for n in (1, 32)]
    shapes += [("LSTM", (n, *ROWS)) for n in (1, 32)] + [("encoder", (n, *TOKENS)) for n in (1, 8)]
    shapes += [("EfficientNet-Lite0", (n, *PHOTO)) for n in (1, 8)]
    config.inputs = tuple(shapes)
    config.peers = ("onnxruntime",)
    config.keep = "speed"
    config.bars = ()
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.inputs = (("LSTM", (2, 3, 28)),)
    return config
