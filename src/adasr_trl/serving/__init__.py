"""Many live streams over the network: ``adasr serve``."""
