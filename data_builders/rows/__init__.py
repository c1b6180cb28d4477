"""Rows of an input, and the outcome of each."""
