"""The mixed table of the LC algorithm: one recipe a row, LeNet-300-100 on MNIST, three seeds.

    python -m experiments.reproduce --config=configs/lc_mnist.py --config.data.path=package/data --workdir=runs/lc_mnist

Rows start from the dense network and train for fifteen epochs under the recipe, and so does the dense network itself.
Published test errors (README of UCMerced's LC toolkit): reference 2.13 %, 2 values a layer 2.56 %, in the first and
last layer 2.26 %, 5 % of the weights 2.18 %, 2 values with 1 % of the weights beside them 2.17 %, pruned first, rank 10
second and 2 values last 2.13 %. Target: no row is worse than its published distance from the dense network. Two values
are signs and one scale a layer. The row of ranks that are learned with the weights needs a penalty in the loss, and has
no recipe here.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

FIRST, SECOND, LAST = ".*Dense_0/kernel", ".*Dense_1/kernel", ".*Dense_2/kernel"


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/lc_mnist.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "mnist")
    config.study = "quantized"
    config.calibration = 64
    if not smoke:  # ten epochs
        config.batch, config.steps, config.chunk = 256, 2340, 234
    config.tuning = {"steps": 40 if smoke else 3510, "learning_rate": 2e-3}
    end = config.tuning.steps // 2
    pruning = {"end": end, "every": 10 if smoke else 50}
    two = ("quant.fake_quant", {"bits": "binary", "granularity": "tensor"})
    config.methods = ()
    config.trained = (
        ("dense, trained", ("compressjax.core:identity", {})),
        ("2 values", two),
        ("2 values, first and last", ((f"{FIRST}|{LAST}", two),)),
        ("2 values and 1 % of the weights", ("quant.outliers", {"method": two, "share": 0.01})),
        ("5 % of the weights", ("prune.gradual", {"sparsity": 0.95, "distribution": "global", **pruning})),
        ("mixed", ((FIRST, ("prune.gradual", {"sparsity": 1 - 5000 / (784 * 300), **pruning})),
                   (SECOND, ("lowrank.svd", {"rank": 10})), (LAST, two))),
    )  # fmt: skip
    config.asked = (
        ("2 values", "dense, trained", None, 0.43, "+0.43"),
        ("2 values, first and last", "dense, trained", None, 0.13, "+0.13"),
        ("2 values and 1 % of the weights", "dense, trained", None, 0.04, "+0.04"),
        ("5 % of the weights", "dense, trained", None, 0.05, "+0.05"),
        ("mixed", "dense, trained", None, 0.0, "+0.00"),
    )
    return config
