"""Losses on features: of one layer, or of the relations between examples."""
