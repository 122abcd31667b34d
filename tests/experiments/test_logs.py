"""A log a process, which every life of it continues."""

from compressjax.recipe import Advanced, Finished, Refused, Stage, Stored
from experiments.logs import Log


def test_lives_append_their_events(tmp_path):
    stage = Stage("train", {}, None, None)
    for _ in range(2):
        log = Log(str(tmp_path))
        log.see(Advanced(stage, 30, {"loss": 0.5}, True))
        log.see(Refused(stage, "x", "x is damaged"))
        log.see(Finished(stage, Stored({}, {}), [], True))
    lines = [line.split(" ", 2)[2] for line in (tmp_path / "logs" / "process-0.log").read_text().splitlines()]
    assert lines[0].startswith("process 0 of 1 on ")
    assert lines[1:4] == [
        "train step 30: advanced loss=0.500000", "train: refused x is damaged", "train: finished from the cache",
    ]  # fmt: skip
    assert len(lines) == 8
