"""Measurements: one file a study, all run by one harness that times contenders in turn."""
