"""Brings a set of files to this host in one round trip; prints as JSON what has changed.

Standard input: a JSON object with `folders` and `files`, and `check` to change nothing. Each has
`path`, `owner` and `mode`; a file has `content`, and `brings`, which says what has to follow when
it changes. A file of which only the number of workers changes brings "reload" instead.
"""

import json
import os
import pwd
import sys
import tempfile
from pathlib import Path


def ids_of(owner):
    """Return the numbers of a user; of one that a dry run has not made, root's."""
    try:
        entry = pwd.getpwnam(owner)
    except KeyError:
        return 0, 0
    return entry.pw_uid, entry.pw_gid


def stands(path, uid, gid, mode):
    """Return whether something has the owner and mode that it should."""
    found = path.stat()
    return (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (uid, gid, mode)


def bring_folder(wanted, check):
    """Make a folder, or mend it; return whether that was needed."""
    path, mode, (uid, gid) = Path(wanted["path"]), int(wanted["mode"], 8), ids_of(wanted["owner"])
    if path.is_dir() and stands(path, uid, gid, mode):
        return False
    if not check:
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, uid, gid)
        path.chmod(mode)
    return True


def bring_file(wanted, check):
    """Replace a file as a whole where it is not what it should be; return what has to follow."""
    path, mode, (uid, gid) = Path(wanted["path"]), int(wanted["mode"], 8), ids_of(wanted["owner"])
    old = content_of(path)
    if old == wanted["content"] and stands(path, uid, gid, mode):
        return None
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(wanted["content"])
        os.chown(draft, uid, gid)
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    return follows(old, wanted)


def content_of(path):
    """Return what is in a file, None if there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def follows(old, wanted):
    """Return what has to follow a change: of the number of workers alone, less than a restart."""
    if not wanted["path"].endswith("/join.json") or old is None:
        return wanted["brings"]
    before, after = json.loads(old), json.loads(wanted["content"])
    before["workers"] = after["workers"]
    return "reload" if before == after else wanted["brings"]


def main():
    """Bring them."""
    wanted = json.load(sys.stdin)
    changed = {}
    for folder in wanted["folders"]:
        if bring_folder(folder, wanted["check"]):
            changed[folder["path"]] = ""
    for file in wanted["files"]:
        what = bring_file(file, wanted["check"])
        if what is not None:
            changed[file["path"]] = what
    told = {"changed": sorted(changed), "brings": sorted(set(changed.values()))}
    sys.stdout.write(json.dumps(told))


main()
