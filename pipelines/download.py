# SPDX-License-Identifier: LGPL-2.1-or-later
"""Downloads that go on where they stopped, are checked against a checksum, and appear only when they are complete."""
import hashlib
import http.client
import os
import pathlib
import re
import sys
import urllib.error
import urllib.request

TRIES = 5
TIMEOUT = 60


class Failure(Exception):
    pass


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The checksum is a header of the answer that redirects to the storage."""

    def redirect_request(self, *arguments):
        return None


def describe(url):
    """-> (checksum or None, size or None) as the publisher states them"""
    request = urllib.request.Request(url, method="HEAD")
    try:
        headers = urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT).headers
    except urllib.error.HTTPError as error:
        if not 300 <= error.code < 400:
            raise
        headers = error.headers
    tag = (headers.get("X-Linked-ETag") or headers.get("ETag") or "").removeprefix("W/").strip('"').lower()
    size = headers.get("X-Linked-Size") or (headers.get("Content-Length") if not headers.get("Location") else None)
    return (tag if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tag) else None), (int(size) if size else None)


def matches(path, checksum):
    """64 digits are the file's SHA-256, 40 those of a git blob, as the publisher gives for small files"""
    digest = hashlib.sha256() if len(checksum) == 64 else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == checksum


def show(name, done, total, end=False):
    if not sys.stderr.isatty():
        if end:
            print(f"{name}: {done / 1e6:.1f} MB", file=sys.stderr)
        return
    share = done / total if total else 0
    bar = ("#" * int(30 * share)).ljust(30)
    print(f"\r{name:26} [{bar}] {100 * share:5.1f} %  {done / 1e6:8.1f} MB", end="\n" if end else "", file=sys.stderr)


def receive(url, part, name):
    """Appends to `part`. -> total size that the server promises, or None"""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while block := answer.read(1 << 18):
                file.write(block)
                have += len(block)
                show(name, have, total)
    return total


def fetch_once(url, part, name, size):
    """-> whether `part` is complete"""
    if size is not None and part.exists() and part.stat().st_size >= size:
        if part.stat().st_size == size:
            return True
        part.unlink()
    total = receive(url, part, name)
    return part.stat().st_size == (size if size is not None else total or part.stat().st_size)


def fetch(url, path, checksum=None):
    stated, size = describe(url)
    checksum = checksum or stated
    part = path.with_name(path.name + ".part")
    problem = "the connection was cut"
    for _ in range(TRIES):
        try:
            if fetch_once(url, part, path.name, size):
                break
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            part.unlink(missing_ok=True)
        except (OSError, http.client.HTTPException) as error:
            problem = str(error)
    else:
        raise Failure(f"{path.name}: {problem}, {TRIES} times; run the command again to go on from here")
    show(path.name, part.stat().st_size, part.stat().st_size, end=True)
    if checksum and not matches(part, checksum):
        part.unlink()
        raise Failure(f"{path.name}: wrong checksum, expected {checksum}; the file was removed, run the command again")
    if not checksum:
        print(f"{path.name}: the server states no checksum, only the size was checked", file=sys.stderr)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def data_folder():
    """Where downloads lie and the plugin looks for them."""
    data = os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local" / "share"
    return pathlib.Path(data) / "gst-clip"


def publisher(usual):
    return os.environ.get("GST_CLIP_FETCH_BASE", usual).rstrip("/")


def try_fetch(url, path, checksum, hint=""):
    try:
        fetch(url, path, checksum)
    except urllib.error.HTTPError as error:
        raise Failure(f"{url}: {error.code} {error.reason}{hint if error.code == 404 else ''}")
    except OSError as error:
        raise Failure(f"{url}: {getattr(error, 'reason', error)}")
