"""A teacher of 30,000 words on disk: bytes a position against nats, for several settings of `write_teacher`.

    apt-get install dict-foldoc
    python -m experiments.reproduce --config=configs/teacher_store.py --workdir=runs/teacher_store

A GPT of width 64 reads the 30,000 most frequent words of a dictionary of computing, and writes its distributions over
the end of the text. Target: at most 150 bytes a position at less than 0.01 nats. A killed run goes on: the teacher with
the last 50 steps, a store with its missing batches.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/teacher_store.py:smoke` has some sentences and no file."""
    smoke = "smoke" in arguments(text, {"smoke": "some sentences, a tiny teacher"})
    config = ConfigDict()
    config.study = "teacher_store"
    config.seeds = (0,)
    config.text = "/usr/share/dictd/foldoc.dict.dz"
    config.vocabulary = 30000
    config.model = {"length": 64, "width": 64, "depth": 2, "heads": 4}
    config.training = {"steps": 400, "chunk": 50, "batch": 8, "learning_rate": 3e-3}
    config.batches = (4, 8)  # the number and the rows of each; the first one gives the background
    config.stores = (
        *(
            (f"0 directions {cut:g}", {"components": 0, "cut": cut, "step": step, "top": top})
            for cut, step, top in ((3e-3, 0.5, 256), (1e-3, 0.5, 256), (3e-4, 0.25, 256), (1e-4, 0.25, 1024))
        ),
        *((f"16 directions {cut:g}", {"components": 16, "cut": cut}) for cut in (1e-3, 3e-4, 1e-4)),
        *((f"64 directions {step:g}", {"components": 64, "step": step}) for step in (1.0, 0.5, 0.25)),
    )
    config.aims = ("0 directions 0.0003", "64 directions 0.25")
    if smoke:
        config.text, config.vocabulary = "", 200
        config.model = {"length": 8, "width": 4, "depth": 1, "heads": 1}
        config.training = {"steps": 4, "chunk": 2, "batch": 4, "learning_rate": 3e-3}
        config.batches = (2, 4)
        config.stores = (("0 directions 0.001", {"cut": 1e-3}), ("4 directions 0.25", {"components": 4}))
        config.aims = ("4 directions 0.25",)
    return config
