"""Labels and copies that are planted among clear classes are found, and nothing else."""

import numpy as np

from experiments.bench import cleaning


def test_clear_classes(draw, monkeypatch):
    monkeypatch.setattr(cleaning, "_STEPS", 60)
    monkeypatch.setattr(cleaning, "_NETWORKS", 1)
    monkeypatch.setattr(cleaning, "_BATCH", 16)
    labels = np.arange(200) % 2
    x = np.repeat(np.eye(2, dtype=np.float32)[labels], 8, axis=1) * draw.uniform(0.8, 1.0, (200, 16))
    x = x.astype(np.float32)
    for recall, precision, rows in cleaning.label_rows(x, labels, 0):
        assert recall == precision == 100.0
        assert rows > 0
    unlike = draw.random((200, 40)).astype(np.float32)
    recall, seconds, others = cleaning.copies(unlike, 0)
    assert recall == 100.0
    assert seconds > 0
    assert others == 0
    assert np.array_equal(cleaning.guesses(x, labels, x[:4], 2).argmax(1), labels[:4])
