"""One chunk of steps of every stage is traced, in a folder of its own."""

import pytest

from compressjax.recipe import Advanced, Began, Finished, Stage
from experiments.traces import Tracer


@pytest.fixture
def traced(monkeypatch):
    said = []
    monkeypatch.setattr("jax.profiler.start_trace", said.append)
    monkeypatch.setattr("jax.profiler.stop_trace", lambda: said.append("end"))
    return said


def see(tracer, steps, first=0):
    stage = Stage("a", {}, None, None, len, steps, 10, 10)
    tracer.see(Began(stage, first, []))
    for step, count in stage.chunks(first):
        tracer.see(Advanced(stage, step + count, {}, False))
    tracer.see(Finished(stage, None, [], False))


@pytest.mark.parametrize(("steps", "first"), [(40, 0), (20, 0), (10, 0), (40, 30)])
def test_every_stage_is_traced_once(traced, steps, first):
    see(Tracer("place"), steps, first)
    assert traced == ["place/process-0/a", "end"]


def test_without_a_folder_nothing_is_traced(traced):
    see(Tracer(""), 40)
    assert traced == []


def test_a_trace_that_is_open_is_closed(traced):
    tracer = Tracer("place")
    tracer.see(Began(Stage("a", {}, None, None, len, 5, 10, 10), 0, []))
    tracer.close()
    tracer.close()
    assert traced == ["place/process-0/a", "end"]
