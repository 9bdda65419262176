"""Compilation of the kernel: each function once, for the types that its annotations say.

Left to itself, Numba compiles a function anew for every constant and every width of a number that it
is called with, two and a half times as many. Only the entries are kept in the cache: they contain
all that they call.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from graphlib import TopologicalSorter
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import _CacheLocator

from simulation.engines.compiled.code_cache import code_directory

_config: Any = numba.config  # its attributes are made at run time
_config.CACHE_DIR = str(code_directory())

Function = TypeVar("Function", bound=Callable[..., Any])

_TYPES = {
    "int": numba.int64,
    "float": numba.float64,
    "bool": numba.boolean,
    "np.uint64": numba.uint64,
    "np.random.Generator": numba.typeof(np.random.default_rng()),  # type: ignore[no-untyped-call]
    "NDArray[np.float64]": numba.float64[::1],
}

# No fast mathematics: both engines round alike.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# Python does not call it.
_WITHIN: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_functions: dict[Any, tuple[Any, ...]] = {}
_entries: set[Any] = set()


class ByContent(_CacheLocator):
    """A place in Numba's cache that depends on the kernel's contents only.

    Numba's own places depend on the path of the source, so every clone would compile anew. The name of
    the folder is a digest of all sources that decide the code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._first_line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], path: str) -> ByContent:
        """Return the place of a function; ``path``, that of its source, does not matter."""
        return cls(function)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(code_directory())

    def get_source_stamp(self) -> str:
        """Return what must be equal for a cached code to be used."""
        return code_directory().name

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name in one file apart."""
        return str(self._first_line)


def _add(function: Callable[..., Any], compiled: Any) -> Any:
    words = {name: word for name, word in function.__annotations__.items() if name != "return"}
    _functions[compiled] = tuple(_TYPES[word] for word in words.values())
    return compiled


def part(function: Function) -> Function:
    """A function that only the kernel's own functions call."""
    added: Function = _add(function, numba.njit(**_OPTIONS, **_WITHIN)(function))
    return added


def hot_part(function: Function) -> Function:
    """Compile a function that is copied into each of its callers.

    Use this for functions that run for every request, where the cost of a call counts.
    """
    compiled = numba.njit(**_OPTIONS, **_WITHIN, forceinline=True)(function)
    added: Function = _add(function, compiled)
    return added


def entry(function: Function) -> Function:
    """A function that Python calls."""
    # Numba asks for the locators when the function is made: other code keeps its own.
    before = _config.CACHE_LOCATOR_CLASSES
    _config.CACHE_LOCATOR_CLASSES = f"{ByContent.__module__}.{ByContent.__name__}"
    try:
        added: Function = _add(function, numba.njit(cache=True, **_OPTIONS)(function))
    finally:
        _config.CACHE_LOCATOR_CLASSES = before
    _entries.add(added)
    return added


def compile_all() -> None:
    """Compiles what there is, those that are called first."""
    graph = {
        one: {
            called
            for step in dis.get_instructions(one.py_func)
            if step.opname == "LOAD_GLOBAL"
            and (called := one.py_func.__globals__.get(step.argval)) in _functions
        }
        for one in _functions
    }
    thorough = _config.OPT
    for one in TopologicalSorter(graph).static_order():
        # What is optimised with its callers anyway is not optimised as much on its own.
        _config.OPT = thorough if one in _entries else type(thorough)(1)
        one.compile(_functions[one])
        one.disable_compile()
    _config.OPT = thorough
