"""``python -m adasr_trl`` is the command ``adasr``."""

import sys

from adasr_trl.cli.main import main

sys.exit(main())
