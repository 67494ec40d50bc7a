"""``import scamper``: upstream's names, for this run.

`exported` makes the names that a script sees: the control classes tied to this process's hub, the
result classes and enums of the codec, and a ScamperFile that reads input files and writes artifacts.
"""

from typing import Any

from onvp.native import _warts, files
from onvp.sandbox.worker.artifacts import Shelf
from onvp.sandbox.worker.facade import control, instance
from onvp.sandbox.worker.facade.errors import ScamperInstError
from onvp.sandbox.worker.facade.hub import Hub


def exported(hub: Hub, shelf: Shelf) -> dict[str, Any]:
    """The names of the module."""

    class ScamperFile(files.ScamperFile):
        """A recording: an input file of this run, or an artifact."""

        def __init__(self, filename: Any, mode: str = "r", kind: Any = None, filter_types: Any = None) -> None:
            super().__init__(filename, mode, kind, filter_types, opener=shelf.open_binary)

    control.bind(hub)
    names = {name: getattr(_warts, name) for name in dir(_warts) if name.startswith("Scamper")}
    return names | {
        "ScamperCtrl": control.ScamperCtrl,
        "ScamperInst": instance.ScamperInst,
        "ScamperTask": instance.ScamperTask,
        "ScamperVp": instance.ScamperVp,
        "ScamperMux": instance.ScamperMux,
        "ScamperFile": ScamperFile,
        "ScamperInstError": ScamperInstError,
    }
