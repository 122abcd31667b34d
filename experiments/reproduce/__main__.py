"""Runs a reproduction: `python -m experiments.reproduce --config=configs/gradual_fashion_mnist.py --workdir=DIR`.

Every cell of the grid is a training run whose result is written to `DIR/cells`; an interrupted grid resumes with the
missing cells. `table.md` and `results.json` hold the final table, missed targets included.
"""

from experiments import app
from experiments.reproduce.grid import reproduce

if __name__ == "__main__":
    app.launch(reproduce)
