"""Factors of a trained LeNet-300-100 on Fashion-MNIST, without training and with fifteen more epochs, three seeds.

    python -m experiments.reproduce --config=configs/factorize_fashion_mnist.py --workdir=runs/factorize
    python -m experiments.reproduce --config=configs/factorize_fashion_mnist.py:mnist --workdir=runs/factorize_mnist

Targets, in points over the dense network: both hidden layers at 20 % of their values 0.3, the first layer as a tensor
train of at most 2000 values 1.5. The dense network trains on as well: what more epochs alone give. Chosen ranks lose
the least in the bytes of uniform ones, each measured alone. Hashed weights (arXiv:1504.04788) and a second tensor train
(arXiv:1509.06569) train for all 25 epochs; targets: 1.0 at an eighth of the weights, and better than a dense network of
as many weights at 1/64. `:mnist` reads `package/data`.
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
    config.tuning = {"steps": 40 if smoke else 3510, "learning_rate": 2e-3}
    config.starting = {"steps": 40 if smoke else 5850, "learning_rate": 2e-3}
    train = {"budget": 0.0085} if not smoke else {"rank": 2}
    pruning = {"sparsity": 1 - 5000 / (784 * 300)}
    config.methods = (
        ("SVD, 20 %", ((HIDDEN, ("lowrank.svd", {"budget": 0.2})),)),
        ("SVD, uniform ranks", ((HIDDEN, ("lowrank.svd", {"rank": 2 if smoke else 35})),)),
        ("SVD, chosen ranks", ("chosen ranks", HIDDEN, *((2, (1, 3, 4)) if smoke else (35, tuple(range(3, 100, 4)))))),
        ("ASVD, 20 %", ((HIDDEN, ("lowrank.asvd", {"budget": 0.2})),)),
        ("SVD-LLM, 20 %", ((HIDDEN, ("lowrank.svd_llm", {"budget": 0.2})),)),
        ("low rank and sparse", ((HIDDEN, ("lowrank.low_rank_plus_sparse", {"rank": 10, "density": 0.05})),)),
        ("Kronecker, 8 terms", ((FIRST, ("lowrank.kronecker", {"terms": 8})),)),
        ("tensor train", ((FIRST, ("lowrank.tensor_train", {"cores": 4, **train})),)),
        ("mixed", ((FIRST, ("prune.magnitude", pruning)), (SECOND, ("lowrank.svd", {"rank": 10})),
                   (LAST, ("share.kmeans", {"clusters": 2})))),
    )  # fmt: skip
    config.fresh = (
        ("HashedNet, 1/8", ((".*kernel", ("share.hashed", {"ratio": 1 / 8})),)),
        ("dense, 1/8", {"widths": (41, 14)}),
        ("HashedNet, 1/64", ((".*kernel", ("share.hashed", {"ratio": 1 / 64})),)),
        ("dense, 1/64", {"widths": (5, 5)}),
        ("tensor train from the start", ((FIRST, ("lowrank.tensor_train", {"cores": 4, **train})),)),
    )
    config.asked = (
        ("SVD, 20 %, trained", "dense", None, 0.3),
        ("SVD-LLM, 20 %, trained", "dense", None, 0.3),
        ("tensor train, trained", "dense", None, 1.5),
        ("SVD, chosen ranks", "SVD, uniform ranks", None, 0.0),
        ("SVD, chosen ranks, trained", "SVD, uniform ranks, trained", None, 0.0),
        ("HashedNet, 1/8", "dense", None, 1.0),
        ("HashedNet, 1/64", "dense, 1/64", None, 0.0),
    )
    return config
