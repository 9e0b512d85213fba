"""The report of a lock diff for a person: as text for a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from elt_env.lock.diff_report import DiffReport, ExplainedChange, Side, Waiting
from elt_env.lock.origins import SourceChange
from elt_env.lockfile.changes import SIGNS, Kind, count_kinds, from_to

_WIDTH = 100  # columns of a terminal
_NAME_WIDTH = 42  # so wide the first column gets at most
_KILOBYTE, _MEGABYTE = 1_000, 1_000_000
_FEW = 4  # versions, or names, that are listed one by one
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#!|~&])")
_HEADER = (
    "change",
    "package",
    "old",
    "new",
    "level",
    "released",
    "why",
    "skipped",
    "size",
    "changelog",
)


def to_text(report: DiffReport) -> str:
    """Return the report as lines for a terminal: its numbers, then its body."""
    return "\n".join([f"{report.target}: {headline(report)}", *body(report)])


def body(report: DiffReport) -> list[str]:
    """Return the lines below the numbers, what weighs most first.

    A line for each change, and below it, indented, who needs it, what was skipped, why it was
    yanked and where the project tells what is new. Of a first lock, what a person asked for.
    """
    if report.is_first:
        lines = [f"  {_name(each)}" for each in report.changes if each.direct]
        lines.append(f"all of them, and who needs them: elt-env show {report.target} --packages")
    else:
        width = max((len(_name(each)) for each in report.changes), default=0)
        changes = [_text_of(each, min(width, _NAME_WIDTH)) for each in report.changes]
        lines = [line for change in changes for line in change]
    if report.sources:
        lines += ["from another index or channel than before:"]
        lines += [f"    {each}" for each in _sources(report.sources)]
    if report.startup:
        lines += ["new at every start of Python:", *(f"    {each}" for each in _startup(report))]
    if report.held_back:
        waiting = [f"    {_waiting(each)}" for each in report.held_back]
        lines += ["held back by the cool-down:", *waiting]
    return [*lines, *report.notes]


def headline(report: DiffReport) -> str:
    """Return the report in numbers, as in `2 upgraded, 1 downgraded; 1 major; -3.1 MB`."""
    if report.is_first:
        conda = sum(each.manager == "conda" for each in report.changes)
        asked = sum(each.direct for each in report.changes)
        halves = f"{conda} from conda, {len(report.changes) - conda} from pip"
        size = f", {_size(report.size_change)}" if report.size_change else ""
        return f"first lock: {len(report.changes)} packages: {halves}; {asked} asked for{size}"
    parts = [count_kinds(each.kind for each in report.changes)]
    alarms = [(report.majors, "major"), (report.yanked, "yanked")]
    alarms.append((len(report.sources), "from another index or channel"))
    alarms.append((len(report.startup), "new at every start of Python"))
    parts += [f"{number} {word}" for number, word in alarms if number]
    return "; ".join(filter(None, [*parts, _size_change(report)]))


def _text_of(each: ExplainedChange, width: int) -> list[str]:
    facts = [_state(each), each.manager, "direct" if each.direct else "transitive"]
    if each.new:
        facts.append("age unknown" if each.age_days is None else _age(each.age_days))
    facts.append(_size_change(each))
    lines = [f"{_name(each):<{width}}  {', '.join(fact for fact in facts if fact)}"]
    for label, what in (
        ("yanked:", _yanked(each.new)),
        ("was yanked:", _yanked(each.old)),
        ("needed by", _listed(each.required_by, _WIDTH - 27)),
        ("skipped", _skipped(each)),
        ("changelog", each.changelog or ""),
    ):
        lines += [f"    {label} {what}"] if what else []
    return lines


def _name(each: ExplainedChange) -> str:
    return f"{SIGNS[each.kind]} {each.name} {from_to(each.kind, each.old, each.new)}"


def _state(each: ExplainedChange) -> str:
    """Return what kind of change it is, in capitals what a person should look at."""
    words = ["YANKED"] if each.yanked is not None else []
    words += ["DOWNGRADED"] if each.downgraded else []
    words += ["MAJOR"] if each.level == "major" else [each.level or ""]
    words += [] if each.downgraded or each.kind == "upgraded" else [each.kind]
    return " ".join(word for word in words if word)


def _yanked(side: Side | None) -> str:
    if side is None or side.yanked is None:
        return ""
    return side.yanked or "no reason is given"


def _age(days: int) -> str:
    return {0: "less than a day old", 1: "1 day old"}.get(days, f"{days} days old")


def _size_change(each: ExplainedChange | DiffReport) -> str:
    """Return how much larger the archives are, as in `+3.1 MB`; "" where it is not worth a word."""
    size = each.size_change or 0
    return _size(size, "+") if abs(size) >= _KILOBYTE else ""


def _size(size: int, sign: str = "") -> str:
    if abs(size) >= _MEGABYTE:
        return f"{size / _MEGABYTE:{sign}.1f} MB"
    return f"{size / _KILOBYTE:{sign}.1f} kB"


def _skipped(each: ExplainedChange) -> str:
    found = each.skipped or ()
    if len(found) <= _FEW:
        return ", ".join(found)
    return f"{len(found)} releases, {found[0]} to {found[-1]}"


def _listed(names: Sequence[str], width: int) -> str:
    """Return as many names as fit into so many columns, and how many more there are."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > width:
            break
        shown.append(name)
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _sources(changes: Iterable[SourceChange]) -> list[str]:
    """Return a line for each pair of places, with the names that went from one to the other."""
    names: dict[tuple[str, str], list[str]] = {}
    for each in changes:
        names.setdefault((each.old, each.new), []).append(each.name)
    return [f"{_listed(each, _WIDTH)}: {old} → {new}" for (old, new), each in names.items()]


def _startup(report: DiffReport) -> list[str]:
    return [f"{each.package or 'no package'}: {each.path}, {each.kind}" for each in report.startup]


def _waiting(each: Waiting) -> str:
    return (
        f"{each.name} {each.locked} → {each.newer} ({each.manager}), out since "
        f"{each.released_at:%Y-%m-%d}, eligible from {each.eligible_at:%Y-%m-%d %H:%M} UTC"
    )


def to_markdown(report: DiffReport) -> str:
    """Return the report as Markdown with tables (GitHub's), what weighs most first."""
    parts = [f"**{report.target}**: {headline(report)}"]
    if report.is_first:
        asked = [each for each in report.changes if each.direct]
        parts.append(_table(("asked for", "version", "from", "released"), map(_asked, asked)))
        parts.append(f"All of them: `elt-env show {report.target} --packages`")
    elif report.changes:
        parts.append(_table(_HEADER, map(_row, report.changes)))
    if report.sources:
        parts.append("**From another index or channel than before:**")
        parts.append("\n".join(f"- {_plain(each)}" for each in _sources(report.sources)))
    if report.startup:
        parts.append("**New at every start of Python:**")
        parts.append("\n".join(f"- {_plain(each)}" for each in _startup(report)))
    if report.held_back:
        parts.append("Held back by the cool-down:")
        parts.append("\n".join(f"- {_plain(_waiting(each))}" for each in report.held_back))
    return "\n\n".join([*parts, *(f"*{_plain(note)}*" for note in report.notes)])


def _asked(each: ExplainedChange) -> tuple[str, ...]:
    version = each.new.version if each.new else ""
    return _plain(each.name), _plain(version), each.manager, _released(each)


def _row(each: ExplainedChange) -> tuple[str, ...]:
    old, new = (_plain(_version(side, each.kind)) for side in (each.old, each.new))
    link = f"[open](<{each.changelog}>)" if each.changelog else ""
    return (
        "**DOWNGRADED**" if each.downgraded else each.kind,
        f"**{_plain(each.name)}**" if each.direct else _plain(each.name),
        old + _mark(each.old),
        new + _mark(each.new),
        "**MAJOR**" if each.level == "major" else each.level or "",
        _released(each),
        _why(each),
        _plain(_skipped(each)),
        _size_change(each),
        link,
    )


def _mark(side: Side | None) -> str:
    reason = _yanked(side)
    return f" **YANKED**: {_plain(reason)}" if reason else ""


def _version(side: Side | None, kind: Kind) -> str:
    if side is None:
        return ""
    more = {"moved": f" from {side.manager}", "rebuilt": f" {side.build}" if side.build else ""}
    return side.version + more.get(kind, "")


def _released(each: ExplainedChange) -> str:
    if each.new is None:
        return ""
    if each.new.released_at is None or each.age_days is None:
        return "unknown"
    return f"{each.new.released_at:%Y-%m-%d}, {_age(each.age_days)}"


def _why(each: ExplainedChange) -> str:
    needed = _listed(each.required_by, _WIDTH // 2)
    words = ["asked for"] if each.direct else []
    return "; ".join(words + ([_plain(f"needed by {needed}")] if needed else []))


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return _MARKUP.sub(r"\\\1", text)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)
