"""On what kind of file system a file is."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "ceph", "glusterfs"),
        *("lustre", "gpfs", "beegfs", "ocfs2", "orangefs", "davfs", "fuse.sshfs", "fuse.davfs"),
        *("fuse.glusterfs", "fuse.ceph", "fuse.cephfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"),
        *("fuse.smbnetfs", "fuse.curlftpfs", "fuse.juicefs", "fuse.mfs", "virtiofs"),
    )
)
"""File systems that several machines may share, as Linux calls them."""

MOUNTS = Path("/proc/self/mountinfo")

_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system_of(path: str, mounts: Path = MOUNTS) -> str:
    """The kind of file system on which a path is; empty where that cannot be known."""
    real = os.path.realpath(path)
    best, kind = "", ""
    with contextlib.suppress(OSError):
        for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
            # The optional fields between the two halves vary in number.
            place, _, system = line.partition(" - ")
            fields, types = place.split(" "), system.split(" ")
            if len(fields) < 5:  # noqa: PLR2004
                continue
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            inside = point in ("/", real) or real.startswith(f"{point}/")
            # Of two mounts at one place the later one covers the other.
            if inside and len(point) >= len(best):
                best, kind = point, types[0]
    return kind


def network_file_system_of(path: str, mounts: Path = MOUNTS) -> str:
    """The kind of network file system on which a path is; empty if it is on none, or unknown."""
    kind = file_system_of(path, mounts)
    return kind if kind in NETWORK else ""
