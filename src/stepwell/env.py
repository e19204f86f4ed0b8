"""What `self.env` is: the bindings and variables of the author's code."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Bindings(Mapping[str, Any]):
    """Bindings by name, each of a workflow, and made by `make` when it is first asked for: most code never does."""

    def __init__(self, workflows: Mapping[str, str], make: Callable[[str], Any]) -> None:
        self._workflows = workflows
        self._make = make
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._make(self._workflows[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._workflows

    def __iter__(self) -> Iterator[str]:
        return iter(self._workflows)

    def __len__(self) -> int:
        return len(self._workflows)


class Env:
    """Bindings and variables, as attributes."""

    def __init__(self, bindings: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        # In this order: a binding comes before a variable of the same name.
        self._parts = (bindings, variables)

    def __getattr__(self, name: str) -> Any:
        """Return a binding or variable. Raises AttributeError, with what there is, for any other name."""
        for members in self.__dict__.get("_parts", ()):
            if name in members:
                return members[name]
        known = ", ".join(self._names()) or "nothing"
        raise AttributeError(
            f"self.env.{name}: there is no binding or variable of this name (there is: {known}). Variables come from "
            "`vars` in the wrangler file, from .dev.vars, or from the environment with --env NAME; bindings of other "
            "kinds than workflows do not exist here"
        )

    def __repr__(self) -> str:
        """Show names alone: values may be secrets."""
        return f"<Env {', '.join(self._names())}>"

    def _names(self) -> list[str]:
        return sorted({name for members in self.__dict__.get("_parts", ()) for name in members})
