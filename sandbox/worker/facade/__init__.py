"""What a script imports.

``scamper`` the names of upstream's module, ``onvp`` what upstream has no word for. Behind them:
``control`` ScamperCtrl · ``instance`` its instances, tasks and VPs · ``primitives`` the ``do_*`` methods ·
``plain`` a script's values, made plain for the wire · ``hub`` who gets which answer.
"""
