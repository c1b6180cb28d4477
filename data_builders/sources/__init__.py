"""Sources of episodes: one module a data set."""
