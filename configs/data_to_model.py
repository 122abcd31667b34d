"""From images to one file: fewer features, fewer weights, or both, at equal bytes.

    python -m experiments.reproduce --config=configs/data_to_model.py --workdir=runs/data_to_model
    python -m experiments.reproduce --config=configs/data_to_model.py:digits --workdir=runs/data_to_model_digits
    python -m experiments.reproduce --config=configs/data_to_model.py:letter --config.data.path=DIR --workdir=runs/d2m

Images without duplicates, gray, reduced by PCA, random projection, NMF or selection by information to a number of
features; one hidden layer; zeros by magnitude and a grid of 4 or 8 bits, trained on. A file holds the reducer and the
network. Three arms: data alone (float32), model alone (all pixels), joint (the reducer on 8 bits too). Three seeds.
`budgets.md` and `front.png` compare the arms at equal bytes. `:emoji32` has drawings in color; `:letter`, `:shuttle`
and `:dna` have tables; `:movielens` has ratings, whose features are the factors of users and films, and whose error is
the root of the mean square in hundredths of a star. Errors say where their files come from.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

# Features, classes and rows held out of other data.
OTHERS = {"emoji32": (1024, 9, 300), "letter": (16, 26, 2000), "shuttle": (9, 7, 5000), "dna": (180, 3, 300)}


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    words = arguments(
        text,
        {"smoke": "digits, hardly any steps, one seed", "digits": "the digits, one seed"}
        | dict.fromkeys((*OTHERS, "movielens"), "other data"),
    )
    if "movielens" in words:
        return _ratings("smoke" in words)
    other = next((name for name in OTHERS if name in words), "")
    smoke, small = "smoke" in words, bool(words - set(OTHERS))
    config = pruned("digits" if small or other else "fashion_mnist")
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
    if other:
        features, classes, held = OTHERS[other]
        config.data = {"name": other, "path": ""}
        config.seeds = (0,) if smoke else (0, 1, 2)
        config.model.settings.classes = classes
        config.held = config.sample = held
        if not smoke:
            quarter = features // 4
            config.counts = (
                ("pca", (quarter, 2 * quarter)), ("projection", (2 * quarter,)), ("nmf", (quarter, 2 * quarter)),
                ("select", (quarter, 2 * quarter, 3 * quarter)),
            )  # fmt: skip
    if smoke:
        config.models = config.models[:1]
    return config


def _ratings(smoke: bool) -> ConfigDict:
    """Ratings: fewer factors by alternating least squares, fewer bits and entries of their tables, or both."""
    config = ConfigDict()
    config.study = "recommended"
    config.data = {"name": "movielens", "path": ""}
    config.seeds = (0,) if smoke else (0, 1, 2)
    config.ridge, config.steps = 0.1, 3 if smoke else 15
    config.factors, config.counts = (4, (1, 2)) if smoke else (32, (1, 2, 4, 8, 16))
    config.models = (
        ("int8", {"sparsity": 0.0, "bits": 8}),
        ("int4", {"sparsity": 0.0, "bits": 4}),
        ("int4 half zeros", {"sparsity": 0.5, "bits": 4}),
        ("int4 80 % zeros", {"sparsity": 0.8, "bits": 4}),
    )
    config.tuning = {"steps": 4 if smoke else 300, "learning_rate": 0.01}
    return config
