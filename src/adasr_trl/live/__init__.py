"""Live use on the command line: ``adasr stream`` and ``adasr replay``.

``options`` says what can be asked for, ``sources`` where text comes from and when, ``session`` lets a model hear it in
real time, ``rows``, ``screen`` and ``picture`` show it, ``replay`` compares the measured wait with the clock's.
"""
