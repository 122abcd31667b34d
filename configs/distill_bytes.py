"""A student of bytes distilled from a teacher of words (arXiv:2503.20083), against one that learns alone.

    apt-get install dict-foldoc
    python -m experiments.reproduce --config=configs/distill_bytes.py --workdir=runs/distill_bytes

Both are small GPTs. The teacher learns from 5.4 MB of a dictionary of computing, the student has 150 kB of it, with the
likelihoods of the teacher for every word: `align_spans` cuts the text where both cut it, `span_loss` compares
likelihoods. Bits are those of the end of the text, which neither has read. Target: fewer bits than the student that
learns alone in the same steps, in the mean of three seeds.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/distill_bytes.py:smoke` has some sentences and no file."""
    smoke = "smoke" in arguments(text, {"smoke": "some sentences, tiny models, one seed"})
    config = ConfigDict()
    config.study = "distill_bytes"
    config.seeds = (0, 1, 2)
    config.text = "/usr/share/dictd/foldoc.dict.dz"
    config.own_bytes, config.held_bytes = 150_000, 100_000
    config.vocabulary = 8000
    config.teacher = {"length": 64, "width": 64, "depth": 2, "heads": 4}
    config.teaching = {"steps": 800, "chunk": 100, "batch": 16, "learning_rate": 3e-3}
    config.student = {"length": 128, "width": 64, "depth": 2, "heads": 4}
    config.training = {"steps": 1000, "chunk": 250, "batch": 16, "learning_rate": 3e-3}
    config.weight, config.temperature = 5.0, 10.0
    if smoke:
        config.seeds, config.text = (0,), ""
        config.own_bytes, config.held_bytes, config.vocabulary = 1500, 300, 100
        config.teacher = {"length": 8, "width": 8, "depth": 1, "heads": 1}
        config.student = {"length": 16, "width": 8, "depth": 1, "heads": 1}
        for part in (config.teaching, config.training):
            part.update({"steps": 4, "chunk": 2, "batch": 4})
    return config
