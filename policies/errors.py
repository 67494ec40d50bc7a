"""What can be wrong with a call or a policy file; instances carry the data, ``str`` the sentence."""

from typing import Any


class BadParameter(ValueError):
    """A parameter of a call has a wrong type or value.

    Attributes:
        parameter: its name; the primitive's name when the combination is wrong.
        value: what was given.
        wrong_type: True when no value of that type would do (a TypeError in the script).
    """

    def __init__(self, parameter: str, value: Any, sentence: str, *, wrong_type: bool = False) -> None:
        super().__init__(sentence)
        self.parameter = parameter
        self.value = value
        self.wrong_type = wrong_type
