"""Launchers, models and data of the experiments; the only part of the project that prints, logs and reads flags."""
