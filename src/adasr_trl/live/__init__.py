"""Live use: a trained model thinks while its input arrives.

``reasoner`` loads a model, ``stream`` is a question with its input, ``background`` runs it in a thread, ``session`` joins it to
a source. ``command`` and ``replay`` are ``adasr stream`` and ``adasr replay``; ``device_rates`` measures this machine.
"""
