"""The main job: `python -m experiments.compress --config=configs/digits.py --workdir=DIR`."""

from experiments import app, pipeline

if __name__ == "__main__":
    app.launch(pipeline.compress, spreads=True, joins=True)
