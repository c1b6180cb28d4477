"""``python -m adasr_trl`` is the command ``adasr``."""

import sys

from adasr_trl.cli import main

sys.exit(main())
