"""Reproductions: grids of training runs over seeds, with the paper's figures next to ours."""
