"""What a Linux control group, as a container has one, allows the processes in it."""

from __future__ import annotations

from pathlib import Path

_NO_LIMIT = 1 << 60  # version 1 writes a number near 2**63 where there is none


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return how many cores' time a control group allows, None without a limit."""
    found = []
    for folder in _groups(root, own, "cpu"):
        limit, _, period = _read(folder / "cpu.max").partition(" ")
        limit = limit or _read(folder / "cpu.cfs_quota_us")
        period = period or _read(folder / "cpu.cfs_period_us")
        if limit.isdigit() and period.isdigit() and int(period):
            found.append(int(limit) / int(period))
    return min(found, default=None)


def memory_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the bytes that a control group allows, None without a limit."""
    texts = [
        _read(folder / name)
        for folder in _groups(root, own, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    limits = [int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT]
    return min(limits, default=None)


def memory_used(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the bytes that the processes of the control group take, None where that is not told."""
    for folder in _groups(root, own, "memory"):
        for name in ("memory.current", "memory.usage_in_bytes"):
            if (text := _read(folder / name)).isdigit():
                return int(text)
    return None


def _groups(root: Path, own: Path, controller: str) -> list[Path]:
    """Return the folders of this process's group and of those around it, in version 2 or 1."""
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" and (root / "cgroup.controllers").exists():
            top = root
        elif controller in controllers.split(","):
            top = root / controller
        else:
            continue
        folder = top / path.strip("/")
        # In a container the path may be one of the machine outside; the root is then the group itself.
        inner = [folder, *folder.parents[: len(folder.parts) - len(top.parts)]]
        return list(dict.fromkeys([*inner, top]))
    return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
