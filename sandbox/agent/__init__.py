"""The daemon of a vantage point: the one process that knows everybody. Trusted.

``main`` the ``onvp-vp`` command and the daemon's wiring · ``config`` what a host can set · ``station`` brings a
vantage point up and takes it down · ``site`` everything that the runs share · ``runs`` the life of a run ·
``warm`` the zygote that is ready for the next run · ``keeper`` the one process that stays root, ``kept`` the
agent's side of it · ``uplink`` dials the controller · ``spool`` keeps events until they are acknowledged ·
``enrol`` the first contact · ``attempt`` one run without a controller.
"""
