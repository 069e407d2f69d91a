"""Recipes: a part of a model as JSON, read from its live attributes, rebuilt only from classes known by name.

A class marked `@configurable` stores each constructor argument under its own name; nothing else is asked of it. A part
that stands in two places is written once and referred to, so that it is shared again after rebuilding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

from vaekit.errors import FileError, nearest

KNOWN: dict[str, type] = {}
T = TypeVar("T", bound=type)


def configurable(cls: T) -> T:
    """Mark a class as one that a saved model may name.

    Its constructor arguments must be stored under their own names.

    Example:
        >>> @configurable
        ... class Scale:
        ...     def __init__(self, by=2.0):
        ...         self.by = by
        >>> recipe(Scale(3.0))
        {'class': 'Scale', 'by': 3.0}
        >>> build({"class": "Scale", "by": 3.0}).by
        3.0
    """
    other = KNOWN.get(cls.__name__)
    if cls.__name__ in _torch_layers():
        raise ValueError(f"torch has a layer named {cls.__name__}: give yours another name")
    if other is not None and other.__module__ != cls.__module__ and other.__module__.startswith("vaekit."):
        raise ValueError(f"vaekit already has a class named {cls.__name__}: give yours another name")
    KNOWN[cls.__name__] = cls
    return cls


def recipe(part: Any) -> Any:
    """Write a part as JSON values.

    Args:
        part: An object of a configurable class, one of torch's plain layers, or a list, dict, number, string or None.

    Returns:
        The recipe.

    Raises:
        TypeError: A class is not marked, or an argument was not stored under its own name.
    """
    return _write(part, {})


def build(written: Any, classes: Iterable[type] = ()) -> Any:
    """Rebuild what `recipe` wrote.

    Args:
        written: The recipe.
        classes: Classes of your own that it may name, besides those imported.

    Raises:
        FileError: The recipe names a class that is not known, or arguments that it does not take.
    """
    return _read(written, {**_torch_layers(), **KNOWN, **{cls.__name__: cls for cls in classes}}, {})


def foreign(written: Any) -> bool:
    """Whether a recipe names a class that is neither vaekit's nor torch's."""
    if isinstance(written, list):
        return any(foreign(item) for item in written)
    if not isinstance(written, dict):
        return False
    known = KNOWN.get(written.get("class", ""))
    own = known is not None and known.__module__.startswith("vaekit.")
    here = "class" in written and not own and written["class"] not in _torch_layers()
    return here or any(foreign(item) for item in written.values())


def _write(part: Any, seen: dict[int, dict[str, Any]]) -> Any:
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, list | tuple):
        return [_write(item, seen) for item in part]
    if isinstance(part, dict):
        return {"dict": {str(key): _write(item, seen) for key, item in part.items()}}
    if id(part) in seen:
        return {"$ref": seen[id(part)].setdefault("$id", len([w for w in seen.values() if "$id" in w]))}
    name = type(part).__name__
    if KNOWN.get(name) is type(part):
        arguments = _live_arguments(part)
    elif _torch_layers().get(name) is type(part):
        arguments = _torch_arguments(part)
    elif type(part).__name__ == "ModuleList":
        return [_write(item, seen) for item in part]
    else:
        raise TypeError(f"{name} cannot be written to a recipe: mark its class with @vaekit.configurable")
    written: dict[str, Any] = {"class": name}
    seen[id(part)] = written
    written.update({key: _write(value, seen) for key, value in arguments.items()})
    return written


def _read(written: Any, known: dict[str, type], made: dict[int, Any]) -> Any:
    if isinstance(written, list):
        return [_read(item, known, made) for item in written]
    if not isinstance(written, dict):
        return written
    if "$ref" in written:
        return made[written["$ref"]]
    if "dict" in written:
        return {key: _read(item, known, made) for key, item in written["dict"].items()}
    name = written.get("class")
    if name not in known:
        hint = "import the module that defines it first, or hand it over: vaekit.open(path, classes=[...])"
        raise FileError("E304", f"the recipe names a class {name!r} that is not known.", hint=hint)
    arguments = {
        key: _read(item, known, made) for key, item in written.items() if key not in ("class", "$id")
    }
    unknown = set(arguments) - set(inspect.signature(known[name]).parameters)
    if unknown and name != "Sequential":
        message = f"{name} takes no argument {sorted(unknown)[0]!r}; {nearest(sorted(unknown)[0], _names(known[name]))}"
        raise FileError("E304", message)
    part = known[name](*arguments["layers"]) if name == "Sequential" else known[name](**arguments)
    if "$id" in written:
        made[written["$id"]] = part
    return part


def _names(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls).parameters if name not in ("args", "kwargs")]


def _live_arguments(part: Any) -> dict[str, Any]:
    arguments = {}
    for name in _names(type(part)):
        if not hasattr(part, name):
            raise TypeError(f"{type(part).__name__} takes {name!r} but does not store it as self.{name}")
        arguments[name] = getattr(part, name)
    return arguments


def _torch_layers() -> dict[str, type]:
    """torch's plain layers, by name: what people put into networks without writing a class."""
    from torch import nn

    names = """Sequential Identity Flatten Unflatten Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
        ConvTranspose3d Embedding LayerNorm GroupNorm Dropout ReLU LeakyReLU SiLU GELU ELU Tanh Sigmoid Softplus
        AvgPool2d MaxPool2d Upsample PixelShuffle PixelUnshuffle"""
    return {name: getattr(nn, name) for name in names.split()}


def _torch_arguments(layer: Any) -> dict[str, Any]:
    if type(layer).__name__ == "Sequential":
        if [name for name, _ in layer.named_children()] != [str(i) for i in range(len(layer))]:
            raise TypeError(
                "a Sequential with names of its own cannot be written to a recipe: leave them out"
            )
        return {"layers": list(layer)}
    arguments = {}
    for name in _names(type(layer)):
        if name == "bias":
            arguments[name] = layer.bias is not None
        elif not name.startswith("_") and hasattr(layer, name):
            arguments[name] = getattr(layer, name)
    return arguments
