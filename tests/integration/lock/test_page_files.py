"""The file that the page of a project tells is the one that the resolver would."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from elt_env.errors import NoWheelError
from elt_env.index.package_index import PackageIndex
from elt_env.index.project_page import ProjectPage
from elt_env.lock.page_files import files_of
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.machine.process import Say
from elt_env.pip import ResolveRequest
from elt_env.pip.port import Resolved
from elt_env.pip.uv_tool import Uv
from tests.support.index_server import Fault
from tests.support.resolving import OLD, Shelf, ask

_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)
_YOUNG = datetime(2026, 6, 1, microsecond=1, tzinfo=timezone.utc)
_TAGS = ("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64", "cp311-abi3-linux_x86_64")


class _Asked(Uv):
    """uv, with the names whose files it was asked for."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(Indexes(parse_index(shelf.index.url)), 120.0)
        self.names: list[str] = []

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        self.names += [each.name for each in resolved]
        return super().files(resolved, request, say)


@pytest.fixture
def stocked(shelf: Shelf) -> Shelf:
    """An index with distributions of which different things speak for a file."""
    for tag in (*_TAGS, "cp312-cp312-linux_x86_64", "cp311-cp311-win_amd64"):
        shelf.wheel("many", "1.0", tag=tag, uploaded=OLD.replace(microsecond=654321))
    shelf.wheel("many", "1.0.post1", uploaded=_YOUNG)
    shelf.wheel("part", "1.0", tag="py3-none-any")
    shelf.wheel("part", "1.0", tag="cp311-cp311-linux_x86_64", uploaded=_YOUNG)
    shelf.wheel("local", "2.0+cpu")
    shelf.wheel("dotted.name", "1.0", requires_python=">=3.8")
    return shelf


def _pages(shelf: Shelf, *names: str) -> dict[str, ProjectPage]:
    indexes = Indexes(parse_index(shelf.index.url))
    index = PackageIndex(indexes, shelf.root / "pages")
    return dict(index.look(dict.fromkeys(names, shelf.index.url), may_lack=True).pages)


def _both(
    shelf: Shelf, *requirements: str, **options: object
) -> tuple[tuple[Package, ...], tuple[Package, ...], list[str]]:
    """Return the files by the pages, those by uv, and whose files uv is asked for with pages."""
    request = ask(*requirements, **options)
    uv = _Asked(shelf)
    resolved = uv.resolve(request, print)
    pages = _pages(shelf, *(each.name for each in resolved))
    found = files_of(resolved, request, pages, uv, print)
    asked = [*uv.names]
    return found, tuple(sorted(uv.files(resolved, request, print), key=lambda e: e.name)), asked


@pytest.mark.parametrize("options", [{}, {"exclude_newer": _CUT}])
def test_pages_tell_the_same_as_the_resolver(stocked: Shelf, options: dict[str, object]) -> None:
    found, expected, asked = _both(stocked, "many", "part", "local", "dotted-name", **options)
    assert found == expected
    assert asked == []


def test_what_is_not_held_may_be_young(stocked: Shelf) -> None:
    found, expected, asked = _both(stocked, "part", exclude_newer=_CUT, not_held=("part",))
    assert (found, asked) == (expected, [])
    assert found[0].file_name == "part-1.0-cp311-cp311-linux_x86_64.whl"


def test_of_what_is_not_plain_the_resolver_is_asked(stocked: Shelf) -> None:
    stocked.index.yank(stocked.root / "many-1.0-py3-none-any.whl")
    stocked.index.undated = {"local-2.0+cpu-py3-none-any.whl"}
    options = {"exclude_newer": _CUT, "undated": "take"}
    found, expected, asked = _both(stocked, "many==1.0", "part", "local", **options)
    assert found == expected
    assert "part" not in asked
    assert {*asked} == {"many", "local"}
    hashes = (("local", ("0" * 64,)),)
    with pytest.raises(NoWheelError, match="--hash"):
        _both(stocked, "local", hashes=hashes)


@pytest.mark.parametrize("fault", ["html-only", "no-upload-times"])
def test_pages_of_another_form(stocked: Shelf, fault: Fault) -> None:
    stocked.index.fault = fault
    found, expected, _ = _both(stocked, "many", "local")
    assert found == expected
