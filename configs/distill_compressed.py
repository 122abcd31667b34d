"""A compressed network learns from its dense self: 3 bits a weight, and 95 % zeros, on Fashion-MNIST.

    python -m experiments.reproduce --config=configs/distill_compressed.py --workdir=runs/distill_compressed
    python -m experiments.reproduce --config=configs/distill_compressed.py:mlp --workdir=runs/distill_compressed_mlp

A network of three convolutions (8, 16 and 32 filters) and two dense layers, or LeNet-300-100 (`:mlp`), three seeds:
three epochs dense, then two under the method, from labels alone or with soft targets of the dense network. `int8` is
further training without loss. Target: soft targets regain half of what 3 bits and 95 % zeros lose against it.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "mlp": "LeNet-300-100"})
    smoke = "smoke" in words
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "quantized"
    config.calibration = 64 if smoke else 1024
    config.teacher = {"temperature": 4.0, "alpha": 0.5}
    config.steps, config.tuning = 40 if smoke else 1404, {"steps": 40 if smoke else 936, "learning_rate": 1e-3}
    if "mlp" not in words and not smoke:
        config.model = {"name": "vgg", "settings": {"groups": ((8,), (16,), (32,)), "width": 64}}
        config.scan = False  # slow for convolutions on a CPU
    end = config.tuning.steps // 2
    config.methods = ()
    config.trained = (
        ("int8", ("quant.fake_quant", {"bits": 8})),
        ("int3", ("quant.fake_quant", {"bits": 3})),
        (
            "95 % zeros",
            (
                "prune.gradual",
                {"sparsity": 0.95, "distribution": "global", "begin": 0, "end": end, "every": max(1, end // 20)},
            ),
        ),
    )
    config.asked = tuple((f"{name}, taught", name, None, 0.0) for name, _ in config.trained[1:])
    return config
