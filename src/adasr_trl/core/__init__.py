"""Words of the method: episode, chunk, rollout, phase, clock, answer. Standard library only."""
