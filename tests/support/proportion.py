"""Work in proportion to its input, on a machine of any speed.

>>> assert_in_proportion(lambda length: sum(range(length)), 100_000)
"""

import time
from collections.abc import Callable


def assert_in_proportion(work: Callable[[int], object], length: int) -> None:
    """CPU time grows with the length: quadratic work takes 16 times as long for 4 times as much."""
    seconds = []
    for part in (length // 4, length):
        start = time.process_time()
        work(part)
        seconds.append(time.process_time() - start)
    assert seconds[1] < max(1.0, 10 * seconds[0])
