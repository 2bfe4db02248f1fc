"""Look at crystals: one HTML page of a set, and pictures of a crystal in a notebook.

``set_page`` makes the page: ``crystal_card`` says what is shown of one crystal, ``powder`` its
diffraction, ``table`` what is said of all; ``page`` puts them together with what lies in ``web/``.
``notebook`` shows a crystal in Jupyter.
"""
