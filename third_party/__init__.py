"""Peers that compressjax is compared with; no foreign code."""
