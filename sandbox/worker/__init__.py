"""Runs one researcher's script, inside the walls. NOT trusted: a script may own everything in here.

``main`` the worker's life from the first frame to the last · ``runtime`` one script compiled, run, and its
end told · ``client`` the one connection to the broker · ``streams`` stdout and stderr · ``artifacts`` files
that are not files · ``facade/`` what a script imports: ``scamper`` and ``onvp``.
"""
