"""Writers of the documentation: of the repository, not of the wheel."""
