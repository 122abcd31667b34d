"""Quantization of a trained network, without training and with five more epochs (three for the CNN).

    python -m experiments.reproduce --config=configs/quantize_fashion_mnist.py --workdir=runs/quantize
    python -m experiments.reproduce --config=configs/quantize_fashion_mnist.py:cnn --workdir=runs/quantize_cnn
    python -m experiments.reproduce --config=configs/quantize_fashion_mnist.py:cnn,ends --workdir=runs/quantize_ends

LeNet-300-100; or a network of 3 convolutions (8, 16 and 32 filters) and 2 dense layers; or ResNet-20 with half of its
filters (`resnet20`), also with the statistics of its norms measured anew; or an LSTM of 128 units that reads images row
by row (`lstm`). Fashion-MNIST, three seeds. `ends` keeps the first and the last layer on 8 bits, as papers do, and
trains for five epochs. Targets, in points over the dense network: 8 bits 0.1, 4 bits 0.8, 4 bits of weights and
activations (W4A4) 0.7, 2 bits with learned steps 1.0, ternary 0.5.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

CHOICES = {
    "smoke": "digits, hardly any steps, one seed",
    "cnn": "the convolutional network",
    "resnet20": "a residual network of 20 layers",
    "lstm": "a recurrent network",
    "ends": "first and last layer on 8 bits, where methods train",
}
# First and last layers; networks with BatchNorm hold all variables, and so paths with `params/`.
OUTER = {"mlp": "Dense_[02]/kernel", "vgg": "(Conv_0|Dense_1)/kernel", "stages": "params/(Conv_0|Dense_0)/kernel"}
INNER = ".*kernel"


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, CHOICES)
    smoke = "smoke" in words
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "quantized"
    config.calibration = 64 if smoke else 1024
    config.tuning = {"steps": 40 if smoke else 2340, "learning_rate": 3e-4}
    if "cnn" in words:
        config.model = {"name": "vgg", "settings": {"groups": ((8,), (16,), (32,)), "width": 64}}
        config.scan = False  # slow for convolutions on a CPU
        if not smoke:
            config.steps, config.tuning.steps = 2340, 1404  # 5 and 3 epochs
    if "resnet20" in words:
        config.model = {"name": "stages", "settings": {"blocks": 1 if smoke else 3, "widths": (8, 16, 32)}}
        config.scan = False
        if not smoke:
            config.steps, config.tuning.steps = 936, 468  # 2 epochs and 1
    if "lstm" in words:
        config.model = {"name": "recurrent", "settings": {"cell": "lstm", "units": 128}}
        if not smoke:
            config.steps, config.tuning.steps = 2340, 936
    if "ends" in words and not smoke:
        config.tuning.steps = 2340
    steps = ("optax:adam", {"learning_rate": 1e-4})
    eight = {"bits": 8, "optimizer": steps}
    config.methods = (
        ("int8", ("quant.rtn", {"bits": 8})),
        ("int8, dynamic activations", ("quant.rtn", {"bits": 8, "activation": "dynamic"})),
        ("int4", ("quant.rtn", {"bits": 4})),
        ("int4, GPTQ", ("quant.gptq", {"bits": 4})),
        ("int3", ("quant.rtn", {"bits": 3})),
        ("int3, GPTQ", ("quant.gptq", {"bits": 3})),
        ("int3, AdaRound", ("quant.adaround", {"bits": 3})),
        ("int2", ("quant.rtn", {"bits": 2})),
        ("int2, GPTQ", ("quant.gptq", {"bits": 2})),
        ("nf4", ("quant.rtn", {"bits": "nf4", "fallback": "divisor"})),
        ("ternary", ("quant.rtn", {"bits": "ternary"})),
    )
    config.trained = (
        ("int4, trained", ("quant.fake_quant", {"bits": 4})),
        ("int3, LSQ", ("quant.lsq", {"bits": 3, "optimizer": steps})),
        ("W4A4, LSQ", _both(4, steps)),
        ("int2, trained", ("quant.fake_quant", {"bits": 2})),
        ("int2, LSQ", ("quant.lsq", {"bits": 2, "optimizer": steps})),
        ("ternary, trained", ("quant.fake_quant", {"bits": "ternary"})),
        ("TTQ", ("quant.ttq", {"optimizer": steps})),
        ("binary, trained", ("quant.fake_quant", {"bits": "binary"})),
    )
    if words - {"smoke"}:  # those with a target
        config.trained = tuple(
            row for row in config.trained if row[0] in ("W4A4, LSQ", "int2, LSQ", "ternary, trained")
        )
    if {"ends", "lstm"} <= words:
        raise ValueError("config argument ends goes with the dense network, cnn and resnet20; drop lstm")
    if len(words & {"cnn", "resnet20", "lstm"}) > 1:
        raise ValueError(f"config arguments {sorted(words)} name several networks; keep one of cnn, resnet20 and lstm")
    if words & {"ends", "resnet20"}:
        outer = OUTER[config.model.name]
        config.trained = tuple(
            (name, ((outer, _both(8, steps) if name.startswith("W4A4") else ("quant.lsq", eight)), (INNER, found)))
            for name, found in config.trained
        )
    if "resnet20" in words and "ends" not in words:
        config.renewed = ("int4", "int4, GPTQ", "int3, GPTQ", "int3, AdaRound", "nf4")
    if "ends" in words:
        config.methods = ()
    config.asked = (
        *((("int8", "dense", None, 0.1), ("int4", "dense", None, 0.8)) if "ends" not in words else ()),
        *((("int4, trained", "dense", None, 0.8),) if not words - {"smoke"} else ()),
        *((("int4, GPTQ, renewed", "dense", None, 0.8),) if "renewed" in config else ()),
        ("W4A4, LSQ", "dense", None, 0.7),
        ("int2, LSQ", "dense", None, 1.0),
        ("ternary, trained", "dense", None, 0.5),
    )
    return config


def _both(bits: int, optimizer: tuple) -> tuple:
    """Weights and the inputs of their products on this many bits, with learned steps."""
    return (
        ("quant.activations", {"bits": bits, "method": "lsq", "optimizer": optimizer}),
        ("quant.lsq", {"bits": bits, "optimizer": optimizer}),
    )
