"""``make demo``: the whole of onvp at work, in the lab, in under a minute."""
