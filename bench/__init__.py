"""Timings, as ratios of things measured in one run."""
