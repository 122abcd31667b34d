"""Adapters of peers for comparisons; no code of theirs."""
