"""``python -m adasr_trl.cli`` is the command ``adasr``, for launchers that take a module."""

import sys

from adasr_trl.cli.main import main

sys.exit(main())
