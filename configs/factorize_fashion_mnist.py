"""Factors of a trained LeNet-300-100 on Fashion-MNIST, without training and with three more epochs, three seeds.

    python -m experiments.reproduce --config=configs/factorize_fashion_mnist.py --workdir=runs/factorize
    python -m experiments.reproduce --config=configs/factorize_fashion_mnist.py:mnist --workdir=runs/factorize_mnist

Targets, in points over the dense network: both hidden layers at 20 % of their values 0.3, the first layer as a tensor
train of at most 2000 values 1.5. `mixed` is the row "prune 1st, rank-10 2nd, codebook of 2 values 3rd" of the LC
algorithm, one recipe for what its authors learn in one run. `:mnist` reads `package/data`.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

FIRST, SECOND, LAST = ".*Dense_0/kernel", ".*Dense_1/kernel", ".*Dense_2/kernel"
HIDDEN = f"{FIRST}|{SECOND}"


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "mnist": "MNIST"})
    smoke = "smoke" in words
    config = pruned("digits" if smoke else "mnist" if "mnist" in words else "fashion_mnist")
    config.study = "factorized"
    config.calibration = 64 if smoke else 2048
    if not smoke:  # ten epochs
        config.batch, config.steps, config.chunk = 256, 2340, 234
    config.tuning = {"steps": 40 if smoke else 702, "learning_rate": 1e-3}
    train = {"budget": 0.0085} if not smoke else {"rank": 2}
    pruning = {"sparsity": 1 - 5000 / (784 * 300)}
    config.methods = (
        ("SVD, 20 %", ((HIDDEN, ("lowrank.svd", {"budget": 0.2})),)),
        ("ASVD, 20 %", ((HIDDEN, ("lowrank.asvd", {"budget": 0.2})),)),
        ("SVD-LLM, 20 %", ((HIDDEN, ("lowrank.svd_llm", {"budget": 0.2})),)),
        ("low rank and sparse", ((HIDDEN, ("lowrank.low_rank_plus_sparse", {"rank": 10, "density": 0.05})),)),
        ("Kronecker, 8 terms", ((FIRST, ("lowrank.kronecker", {"terms": 8})),)),
        ("tensor train", ((FIRST, ("lowrank.tensor_train", {"cores": 4, **train})),)),
        ("mixed", ((FIRST, ("prune.magnitude", pruning)), (SECOND, ("lowrank.svd", {"rank": 10})),
                   (LAST, ("share.kmeans", {"clusters": 2})))),
    )  # fmt: skip
    config.asked = (
        ("SVD, 20 %, trained", "dense", None, 0.3),
        ("SVD-LLM, 20 %, trained", "dense", None, 0.3),
        ("tensor train, trained", "dense", None, 1.5),
    )
    return config
