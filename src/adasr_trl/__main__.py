"""``python -m adasr_trl`` is the command ``adasr``."""

import sys

if not sys.flags.safe_path:
    # Python puts the current directory first: a file there called datasets.py would be taken for the library.
    sys.path.append(sys.path.pop(0))

from adasr_trl.cli.main import main  # found behind that

sys.exit(main())
