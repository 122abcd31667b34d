"""Peaks of memory are seen, and every reducer of the tables reads the files."""

import numpy as np
import pytest

from compressjax import data
from experiments.bench import memory_of_data


def test_a_peak_that_is_gone_at_the_end_is_seen():
    size = 64 * 2**20

    def work() -> None:
        held = np.ones(size, np.uint8)
        for _ in range(20):
            held += 1
        del held

    before = memory_of_data.resident("RssAnon")
    assert memory_of_data.peak(work) - before > size / 2


def test_reducers_read_the_files_and_the_labels_follow_the_first_columns(tmp_path):
    memory_of_data.write(tmp_path, 64)
    reducer = memory_of_data.DENSE["anova"]()
    found = data.fit(reducer, memory_of_data.source("anova", tmp_path))
    assert set(range(4)) <= set(np.asarray(found.places).tolist())
    assert memory_of_data.source("pca", tmp_path).shape == (64, memory_of_data.COLUMNS)


@pytest.mark.thorough
def test_the_tables_have_a_row_for_every_reducer():
    assert len(memory_of_data.table([50, 100]).splitlines()) == 2 + len(memory_of_data.DENSE)
    assert len(memory_of_data.sparse_table(100, 50, 0.05).splitlines()) == 2 + len(memory_of_data.SPARSE)
