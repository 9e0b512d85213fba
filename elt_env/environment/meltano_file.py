"""The plugins and jobs of a Meltano project: `meltano.yml`, and the files that it includes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from elt_env.errors import SpecError
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

FILE = "meltano.yml"


@dataclass(frozen=True)
class MeltanoPlugin:
    """A plugin as a file of the project defines it.

    Attributes:
        file: the file, relative to the project.
        kind: its group, as in `extractors`.
        place: its number in that group of the file.
        pip_url: what is installed for it, as it is written; None where nothing is.
        executable: the program, in its virtual environment or elsewhere.
        parent: the plugin whose definition it inherits, or "".
    """

    file: str
    kind: str
    place: int
    name: str
    pip_url: str | None
    executable: str
    parent: str = ""


@dataclass(frozen=True)
class MeltanoFiles:
    """The files of a Meltano project.

    Attributes:
        project: its directory.
        content: what each file says, by its path relative to the project.
    """

    project: Path
    content: Mapping[str, dict[str, Any]]

    @property
    def jobs(self) -> tuple[str, ...]:
        """The names of the jobs."""
        jobs = [each for content in self.content.values() for each in content.get("jobs") or ()]
        return tuple(
            str(each["name"]) for each in jobs if isinstance(each, dict) and "name" in each
        )

    @property
    def plugins(self) -> tuple[MeltanoPlugin, ...]:
        """All plugins; what one inherits is filled in."""
        own = [*self._own()]
        by_name = {(each.kind, each.name): each for each in own}
        return tuple(self._inherited(each, by_name) for each in own)

    def with_keys(self, keys: Mapping[MeltanoPlugin, Mapping[str, str]]) -> None:
        """Write the files anew, with these keys of plugins set.

        Raises:
            StorageError: they cannot be written.
        """
        for plugin, values in keys.items():
            self.content[plugin.file]["plugins"][plugin.kind][plugin.place].update(values)
        for file in {each.file for each in keys}:
            text = yaml.safe_dump(self.content[file], sort_keys=False, allow_unicode=True)
            write_atomically(self.project / file, text)

    def _own(self) -> Iterator[MeltanoPlugin]:
        for file, content in self.content.items():
            groups = content.get("plugins")
            for kind, listed in groups.items() if isinstance(groups, dict) else ():
                for place, each in enumerate(listed or ()):
                    if isinstance(each, dict) and "name" in each:
                        yield self._plugin(file, kind, place, each)

    def _plugin(self, file: str, kind: str, place: int, table: dict[str, Any]) -> MeltanoPlugin:
        name = str(table["name"])
        locked = self._locked(kind, name, table.get("variant"))
        parent = str(table.get("inherit_from") or "")
        url = table.get("pip_url", locked.get("pip_url"))
        executable = table.get("executable") or locked.get("executable")
        return MeltanoPlugin(
            *(file, kind, place, name, None if url is None else str(url)),
            str(executable or ("" if parent else name)),
            parent,
        )

    def _locked(self, kind: str, name: str, variant: object) -> dict[str, Any]:
        """Return what Meltano's own lock file says, which it takes from its hub."""
        names = [f"{name}--{variant}.lock", f"{name}.lock"]
        for each in (self.project / "plugins" / kind / file for file in names):
            try:
                return dict(json.loads(read_stored_text(each)))
            except (OSError, ValueError, TypeError):
                continue
        return {}

    def _inherited(
        self, plugin: MeltanoPlugin, known: Mapping[tuple[str, str], MeltanoPlugin]
    ) -> MeltanoPlugin:
        seen = {plugin.name}
        url, executable, parent = plugin.pip_url, plugin.executable, plugin.parent
        while parent and parent not in seen and (plugin.kind, parent) in known:
            seen.add(parent)
            above = known[plugin.kind, parent]
            url = above.pip_url if url is None else url
            executable = executable or above.executable
            parent = above.parent
        return MeltanoPlugin(
            *(plugin.file, plugin.kind, plugin.place, plugin.name, url),
            executable or plugin.name,
            plugin.parent,
        )


def read_meltano(project: Path) -> MeltanoFiles:
    """Return what the files of a Meltano project say.

    https://docs.meltano.com/concepts/project/#meltano-yml-project-file

    Raises:
        SpecError: there is no meltano.yml, or a file is not one.
    """
    first = _read(project, FILE)
    content = {FILE: first}
    for pattern in first.get("include_paths") or ():
        for path in sorted(project.glob(str(pattern))):
            name = path.relative_to(project).as_posix()
            if path.is_file() and name not in content:
                content[name] = _read(project, name)
    return MeltanoFiles(project, content)


def _read(project: Path, name: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_stored_text(project / name))
    except FileNotFoundError as error:
        raise SpecError(
            f"{project} is no Meltano project: it has no {name}.", "Name the project's directory."
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SpecError(f"{project / name} cannot be read: {error}", "Correct it.") from error
    if not isinstance(content, dict):
        raise SpecError(f"{project / name} is not a table of keys.", "Correct it.")
    return content
