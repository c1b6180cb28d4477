"""One self-contained HTML page on evaluated runs: the verdict, every rollout on a time line, tables and charts.

    >>> write_report(["runs/tiny"], Path("report.html"))

The page makes no connection: charts, script and data are in it. ``gathering`` finds the methods, ``headline`` writes
the verdict, ``charts`` places lines and dots, ``trajectories`` packs the rollouts, ``page`` puts all of it together.
"""

from adasr_trl.report.gathering import Wanted
from adasr_trl.report.page import Options, write_report

__all__ = ["Options", "Wanted", "write_report"]
