"""``rollcast cache``: the stored results and the compiled code of this user."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.study.store_list import ListedStore


def cache(
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Delete all stored results (default: only show them)."),
    ] = False,
    json: o.Json = False,
) -> None:
    """Show where results are stored, how large they are, and of how many studies; or delete them."""
    from simulation.engines.compiled.code_cache import code_directory, code_size_bytes
    from simulation.study.store_list import LIMIT_BYTES, listed_stores
    from studio.views.figures_text import size_text

    problems = [_empty(store) for store in listed_stores()] if clear else []
    stores = [store for store in listed_stores() if store.path.stat().st_size]
    studies = [store for store in stores if _has_results(store)]
    size_bytes = sum(store.size_bytes for store in studies)
    code_bytes, code_path = code_size_bytes(), code_directory().parent
    if json:
        o.print_json(
            {
                "stored_results": {
                    "studies": len(studies),
                    "size_bytes": size_bytes,
                    "limit_bytes": LIMIT_BYTES,
                    "stores": [
                        {
                            "path": str(store.path),
                            "size_bytes": store.size_bytes,
                            "last_used": _moment_text(store),
                        }
                        for store in studies
                    ],
                },
                "compiled_code": {"path": str(code_path), "size_bytes": code_bytes},
                "problems": [problem for problem in problems if problem],
            }
        )
        return
    for problem in filter(None, problems):
        print(f"! {problem}")
    noun = "study" if len(studies) == 1 else "studies"
    limit = size_text(LIMIT_BYTES)
    print(f"Stored results: {len(studies)} {noun}, {size_text(size_bytes)} of at most {limit}")
    _print_stores(studies)
    print(f"Compiled code: {size_text(code_bytes)} in {code_path}")


def _empty(listed: ListedStore) -> str:
    """Delete the results of one store; return why that failed, or an empty text."""
    from executor.base.errors import BadInput
    from simulation.study.store import Store

    problems: list[str] = []
    try:
        with Store(listed.path, problems.append) as store:
            store.empty()
    except BadInput as error:
        problems.append(str(error))
    return "; ".join(problems)


def _has_results(listed: ListedStore) -> bool:
    from simulation.study.store import Store

    return Store(listed.path).cell_count() > 0


def _print_stores(stores: Sequence[ListedStore]) -> None:
    from studio.views.figures_text import size_text

    for store in stores:
        print(f"  {size_text(store.size_bytes):>9}  used {_moment_text(store)}  {store.path}")


def _moment_text(store: ListedStore) -> str:
    return datetime.fromtimestamp(store.used_s).astimezone().isoformat(" ", "minutes")
