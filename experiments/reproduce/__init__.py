"""Published figures, measured again: grids of trainings over seeds, and the paper's numbers beside ours."""
