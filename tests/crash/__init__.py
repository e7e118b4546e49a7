"""Crashes, errors and power cuts at every point, and what is left afterwards.

`world` is where it happens, `activities` what happens, `checks` what must be true
afterwards; each kind of fault is a module of its own, and `kinds` names them all.
`python -m crash` prints the table.
"""
