"""Live use: a trained model thinks while its input arrives.

``reasoner`` loads a model, ``stream`` is one question with its input, ``background`` runs it in a thread, ``session`` joins it to
one of the ``sources``. ``screen`` shows it, with ``display_state``, ``rendering`` and ``picture``. ``command`` and ``replay`` are
``adasr stream`` and ``adasr replay``; ``device_rates`` measures this machine.
"""
