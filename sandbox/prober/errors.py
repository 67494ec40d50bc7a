"""What can go wrong between the broker and a prober; ``str`` is the sentence for people.

* `Inexpressible`: the action is fine, this prober cannot do it. Nothing was sent.
* `ProberProtocolError`: what came from the socket is not the control protocol.
* `ProberUnavailable`: nothing usable listens where the prober should be.
"""


class Inexpressible(ValueError):
    """No prober here can do, or say, what an action asks for.

    Attributes:
        parameter: the parameter at fault; the primitive's name when all of it is.
    """

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter


class ProberProtocolError(Exception):
    """The peer does not speak the control protocol (any more); the connection cannot go on."""


class ProberUnavailable(Exception):
    """A prober that should be there is not, or is not a prober."""


class UnsafeLine(Exception):
    """A rendered line failed the last check before the socket. It is a bug here; the line is not sent."""
