"""Every public name has a docstring, and every one that a user calls shows an example."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any


def undocumented(names: Iterable[tuple[str, Any]]) -> list[str]:
    """Return a line for each public object without a docstring, or without a doctest.

    Parameters
    ----------
    names : iterable of (str, object)
        Functions, classes and modules. Of a class the public methods it defines need a docstring;
        of a module, the functions and classes in its ``__all__`` are looked at as well.
    """
    problems = []
    for name, value in names:
        text = inspect.getdoc(value) or ""
        if not text:
            problems.append(f"{name} has no docstring")
        elif ">>>" not in text and not isinstance(value, ModuleType) and not is_exception(value):
            problems.append(f"{name} has no example in its docstring")
        problems += undocumented(inside(name, value)) if isinstance(value, ModuleType) else []
        problems += [
            f"{name}.{method} has no docstring"
            for method, function in methods(value)
            if not inspect.getdoc(function)
        ]
    return problems


def is_exception(value: Any) -> bool:
    """Tell an exception from what a user calls: one is caught, not called."""
    return isinstance(value, type) and issubclass(value, BaseException)


def inside(name: str, module: ModuleType) -> list[tuple[str, Any]]:
    return [(f"{name}.{attribute}", getattr(module, attribute)) for attribute in module.__all__]


def methods(value: Any) -> list[tuple[str, Any]]:
    """Return the public methods and properties that a class of fusem defines itself."""
    if not isinstance(value, type):
        return []
    return [
        (attribute, member)
        for attribute, member in inspect.getmembers(value)
        if not attribute.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and getattr(getattr(member, "fget", member), "__module__", "").startswith("fusem")
    ]
