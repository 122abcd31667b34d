"""From images to one file: fewer features, fewer weights, or both, at equal bytes.

    python -m experiments.reproduce --config=configs/data_to_model.py --workdir=runs/data_to_model
    python -m experiments.reproduce --config=configs/data_to_model.py:digits --workdir=runs/data_to_model_digits

Images without duplicates, gray, reduced by PCA, random projection, NMF or selection by information to a number of
features; one hidden layer; zeros by magnitude and a grid of 4 or 8 bits, trained on. A file holds the reducer and the
network. Three arms: data alone (float32), model alone (all pixels), joint (the reducer on 8 bits too). Three seeds.
`budgets.md` and `front.png` compare the arms at equal bytes.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "digits, hardly any steps, one seed", "digits": "the digits, one seed"})
    smoke, small = "smoke" in words, bool(words)
    config = pruned("digits" if small else "fashion_mnist")
    config.study = "data_to_model"
    config.model = {"name": "mlp", "settings": {"widths": (8,) if smoke else (100,)}}
    config.steps = 20 if smoke else 400 if small else 1560
    config.chunk = 20 if smoke else 200 if small else 780
    config.tuning = {"steps": 20 if smoke else 200 if small else 780, "learning_rate": 5e-4}
    config.tuning.chunk = config.tuning.steps
    config.held = 300 if small else 10_000
    config.sample = 500 if small else 10_000
    config.reducer_bits = 8
    config.counts = (
        (("pca", (4,)), ("select", (8,)))
        if smoke
        else (("pca", (4, 8, 16)), ("projection", (16,)), ("nmf", (8, 16)), ("select", (8, 16, 32)))
        if small
        else (
            ("pca", (8, 16, 32, 64)),
            ("projection", (16, 64)),
            ("nmf", (16, 32)),
            ("select", (32, 64, 128, 256, 512)),
        )
    )
    config.models = (
        ("int4 half zeros", {"sparsity": 0.5, "bits": 4}),
        ("int8 half zeros", {"sparsity": 0.5, "bits": 8}),
        ("int4 80 % zeros", {"sparsity": 0.8, "bits": 4}),
        ("int4 90 % zeros", {"sparsity": 0.9, "bits": 4}),
        ("int4 95 % zeros", {"sparsity": 0.95, "bits": 4}),
    )
    config.joint = (0,) if smoke else (0, 2)
    if smoke:
        config.models = config.models[:1]
    return config
