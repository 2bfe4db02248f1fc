"""One HTML page of a set of crystals, to look through what was generated, predicted or relaxed.

``crystal_card`` says what is shown of one crystal, ``powder`` its diffraction, ``table`` what is
said of all; ``page`` puts them together with what lies in ``web/``.
"""
