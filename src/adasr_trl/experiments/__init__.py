"""Runs over seeds: grids of variants, their stages and tables."""
