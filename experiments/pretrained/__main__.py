"""Runs the table: `python -m experiments.pretrained --config=configs/pretrained.py`.

`table.md` and `pretrained.json` lie in `--workdir`, `runs/pretrained` without it; both are written after every row.
"""

from absl import flags

from experiments import app
from experiments.pretrained.table import tabulate

if __name__ == "__main__":
    flags.FLAGS.set_default("workdir", "runs/pretrained")
    app.launch(tabulate)
