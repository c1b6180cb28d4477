"""Shared parts of SFT and RL: data, order, callbacks, processes, the training loop."""
