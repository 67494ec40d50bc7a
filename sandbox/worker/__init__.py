"""Runs one researcher's script, inside the walls. NOT trusted: a script may own everything in here.

``main`` the worker's life from the first frame to the last · ``runtime`` the globals of a script, its
output and its end · ``client`` the one connection to the broker · ``artifacts`` files that are not files ·
``facade/`` what a script imports: ``scamper`` and ``onvp``.
"""
