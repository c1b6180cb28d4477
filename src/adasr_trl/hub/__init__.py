"""Publishing a run on the Hub with a model card, and checking a published one."""
