"""Everything that the controller refuses, each with a stable code, in one JSON shape.

::

    {"error": {"code": "unknown-vp", "message": "…what is wrong…", "hint": "…what to do…", "details": {…}}}

Three families: `BadRequestError` and what is below it are the caller's fault, `PeerError` is a vantage
point's, `StorageError` is this host's.
"""

from typing import Any, ClassVar


class ControllerError(Exception):
    """The base: a sentence for people, a code for programs, a hint at what to do next."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message, self.hint, self.details = message, hint, details

    def body(self) -> dict[str, Any]:
        """The JSON shape."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}}


class BadRequestError(ControllerError):
    """The request does not make sense."""

    code = "bad-request"
    status = 400


class UnauthorizedError(BadRequestError):
    """No token, or one that opens nothing."""

    code = "unauthorized"
    status = 401


class NotFoundError(BadRequestError):
    """There is no such thing, or it is not yours to see."""

    code = "not-found"
    status = 404


class MethodNotAllowedError(BadRequestError):
    """The path exists, the method does not."""

    code = "method-not-allowed"
    status = 405


class TooLargeError(BadRequestError):
    """The script, its inputs or the request are larger than the controller takes."""

    code = "too-large"
    status = 413


class NotTextError(BadRequestError):
    """The script is not UTF-8."""

    code = "not-utf-8"
    status = 422


class BadSelectorError(BadRequestError):
    """The selector of vantage points cannot be read."""

    code = "bad-selector"
    status = 422


class UnknownVpError(BadRequestError):
    """No vantage point has this name."""

    code = "unknown-vp"
    status = 404


class NoVpError(BadRequestError):
    """The selector fits no vantage point that is connected."""

    code = "no-vp"
    status = 409


class VpOfflineError(BadRequestError):
    """A vantage point that was asked for by name is not connected."""

    code = "vp-offline"
    status = 409


class EndedError(BadRequestError):
    """The run has ended already."""

    code = "run-ended"
    status = 409


class EnrolmentError(BadRequestError):
    """The one-time secret is unknown, used, expired, or not for this name."""

    code = "enrolment"
    status = 403


class NameTakenError(BadRequestError):
    """The name belongs to somebody else, or is not a name."""

    code = "name"
    status = 409


class StorageError(ControllerError):
    """The controller's disk is full or broken. Nothing acknowledged is lost; nothing new is taken."""

    code = "storage"
    status = 507


class InternalError(ControllerError):
    """A bug of ours; the log has the details."""

    code = "internal"
    status = 500


class PeerError(Exception):
    """A vantage point broke the rules of the link; it is disconnected with this reason."""


class SettingsError(Exception):
    """The controller's settings cannot be used; the sentence says which file and key."""
