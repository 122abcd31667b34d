"""Movement pruning (Sanh et al., arXiv:2005.07683) against magnitudes, on a network that moves to another task.

LeNet-300-100 learns five classes of Fashion-MNIST, then the other five while it is pruned; three seeds. The last
layer is reinitialized and stays dense.

    python -m experiments.reproduce --config=configs/transfer.py --workdir=runs/transfer

Target: the error of movement is at most that of magnitudes at 5 % density and less, and at least that at 50 %.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/transfer.py:smoke` has few steps and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = ConfigDict()
    config.study = "transfer"
    config.seeds = (0, 1, 2)
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.source, config.target = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
    config.densities = (0.03, 0.05, 0.1, 0.5)
    config.pretraining = {"steps": 2340, "batch": 128, "chunk": 234, "learning_rate": 1e-3, "cosine": True}
    # A small rate, as in fine-tuning: at 1e-3 the magnitudes themselves move far enough.
    config.tuning = {"steps": 2340, "batch": 128, "chunk": 234, "learning_rate": 1e-4, "cosine": True}
    curve = {"select": "Dense_[01]/kernel", "begin": 0.1, "end": 0.7, "every": 10, "distribution": "uniform"}
    scores = {"optimizer": ("optax:adam", {"learning_rate": 1e-2})}
    config.methods = (("magnitude", ("prune.gradual", curve)), ("movement", ("prune.movement", {**scores, **curve})))
    if smoke:
        config.data = {"name": "digits", "path": ""}
        config.seeds, config.densities = (0,), (0.05,)
        for part in (config.pretraining, config.tuning):
            part.steps, part.chunk, part.batch = 40, 20, 32
    return config
