"""Runs a reproduction: `python -m experiments.reproduce --config=configs/gradual_fashion_mnist.py --workdir=DIR`.

Every cell of the grid is a training whose result is written to `DIR/cells`; a run that was stopped goes on with the
cells that are missing. `table.md` and `results.json` keep what is printed at the end, failures included.
"""

from experiments import app
from experiments.reproduce.grid import reproduce

if __name__ == "__main__":
    app.launch(reproduce)
