"""``python -m adasr_trl.cli`` is the command ``adasr``, for launchers that take a module."""

import sys

if not sys.flags.safe_path:
    # Python puts the current directory first: a file there called datasets.py would be taken for the library.
    sys.path.append(sys.path.pop(0))

from adasr_trl.cli.main import main  # found behind that

sys.exit(main())
