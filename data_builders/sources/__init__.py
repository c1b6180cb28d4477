"""Sources of episodes, one file a data set."""
