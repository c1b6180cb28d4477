"""Text of an episode: draft, shaping, cutting into chunks."""
