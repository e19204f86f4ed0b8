"""Frozen dataclasses that are made so often that their making counts.

Type checkers take `quick_dataclass` for `dataclasses.dataclass`, and refuse whoever changes what is frozen. Python
itself does not: one that it kept from being changed would take four times as long to make, and a step makes a dozen.
"""

from typing import TYPE_CHECKING

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:
    from dataclasses import dataclass

    def quick_dataclass(*, frozen: bool, slots: bool):
        """Make one; its values are compared and hashed by what they hold."""
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)
