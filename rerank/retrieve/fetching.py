"""A folder that is fetched as an archive: it is there whole and checked, or not at all.

What came before a connection broke is kept beside it, and the next call goes on from there. This
module knows bytes, no Lucene.
"""

import fcntl
import hashlib
import http.client
import logging
import os
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from rerank.errors import EngineError

LOG = logging.getLogger(__name__)
SECONDS = 60  # without a byte before a transfer is given up
BLOCK = 1 << 20
MEGABYTE = 10**6
WHOLE = 416  # what a server says who is asked for bytes beyond the last
GOES_ON = 206  # and who sends the rest alone


def fetched(url: str, md5: str, folder: Path) -> Path:
    """The one folder that the archive at `url` holds, under this name; one process fetches it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if folder.is_dir() else _fetch(url, md5, folder)
    finally:
        os.close(lock)


def _fetch(url: str, md5: str, folder: Path) -> Path:
    part = folder.with_name(f"{folder.name}.part")
    try:
        _download(url, part)
        _check(url, part, md5)
        _unpack(url, part, folder)
    except (OSError, http.client.HTTPException) as wrong:
        reason = getattr(wrong, "reason", None) or wrong
        raise EngineError(f"{url} could not be fetched: {reason}{_kept(part)}") from wrong
    part.unlink()
    return folder


def _kept(part: Path) -> str:
    size = part.stat().st_size if part.exists() else 0
    return f"; the next try goes on after {size / MEGABYTE:.1f} MB" if size else ""


def _download(url: str, part: Path) -> None:
    """All of it, or what is missing where the server can begin there."""
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as refusal:
        if begun and refusal.code == WHOLE:
            return
        raise
    with answer:
        goes_on = answer.status == GOES_ON
        wanted = int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if goes_on else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                LOG.debug("%s: %d MB", url, file.tell() // MEGABYTE)
        came = part.stat().st_size - (begun if goes_on else 0)
    if came < wanted:
        raise ConnectionError(f"the connection ended {(wanted - came) / MEGABYTE:.1f} MB too early")


def _check(url: str, part: Path, md5: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        part.unlink()
        raise EngineError(
            f"{url} came with the MD5 {found} and should have {md5}; it is deleted, fetch it again"
        )


def _unpack(url: str, part: Path, folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent, prefix=".") as aside:
        try:
            with tarfile.open(part, "r:gz") as archive:
                archive.extractall(aside, filter="data")
            [inner] = Path(aside).iterdir()
        except (tarfile.TarError, ValueError) as wrong:
            part.unlink()
            raise EngineError(f"{url} is no archive of one folder: {wrong}") from wrong
        inner.rename(folder)
