"""Progress of linking conda packages, in lines."""

from __future__ import annotations

from rattler.install.installer import InstallerReporter

from elt_env.tools.process import Say

_MEGA = 1 << 20
_LARGE = 10 * _MEGA


class LinkProgress(InstallerReporter):
    """Says what rattler's installer does: each download, and the number of linked packages."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._names: list[str] = []
        self._quarters: dict[int, int] = {}
        self._linked = 0
        self._total = 0

    def on_transaction_start(self, total_operations: int) -> None:
        """Say how many packages there are."""
        self._total = total_operations
        self._say(f"conda: linking {total_operations} packages")

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        """Remember the package's name under the returned token."""
        del operation
        self._names.append(package_name)
        return len(self._names) - 1

    def on_download_start(self, cache_entry: int) -> int:
        """Say which package is downloaded."""
        self._say(f"conda: downloading {self._names[cache_entry]}")
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Say how far a large download is, once every quarter."""
        if total is None or total < _LARGE:
            return
        quarter = 4 * progress // total
        if quarter > self._quarters.get(download_idx, 0):
            self._quarters[download_idx] = quarter
            name = self._names[download_idx]
            self._say(f"conda: {name} {progress // _MEGA} of {total // _MEGA} MiB")

    def on_link_complete(self, index: int) -> None:
        """Say the number of linked packages, every tenth and at the end."""
        del index
        self._linked += 1
        if self._linked % 10 == 0 or self._linked == self._total:
            self._say(f"conda: linked {self._linked} of {self._total} packages")
