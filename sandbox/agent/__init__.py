"""The daemon of a vantage point: the one process that knows everybody. Trusted.

``main`` wiring and signals, the ``onvp-vp`` command · ``config`` what a host can set · ``site`` everything
that the runs of a VP share · ``runs`` the life of a run · ``warm`` the zygote that is ready for the next
run · ``keeper`` the one process that stays root · ``uplink`` dials the controller · ``spool`` keeps events
until they are acknowledged · ``enrol`` the first contact · ``attempt`` one run without a controller.
"""
