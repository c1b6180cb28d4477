"""Rows of input files, and the outcome of each."""
