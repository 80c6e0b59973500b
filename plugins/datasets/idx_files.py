"""idx_files.py: what the fetch scripts share: four IDX files, known by the sha256 of their raw bytes.

A source is a function that yields the raw bytes of all four files. `fetch` tries the sources in order, accepts only
bytes whose sum is the known one, and puts each file down under a temporary name, fsync, rename: a reader never sees
half a file, and two runs at once cannot harm each other. Nothing is ever unpacked beyond the size that is expected.
"""
import argparse
import collections
import hashlib
import os
import signal
import sys
import tempfile
import time
import urllib.request
import zlib

IdxFile = collections.namedtuple("IdxFile", "name size sha256")       # size and sha256 are of the raw, unzipped file
SOCKET_TIMEOUT_S = 20
MIRROR_TIMEOUT_S = 600                                                # for one file
READ_BYTES = 1 << 16


class SourceFailed(Exception):
    """A source could not give the data; the text is for the user."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def gunzip(packed, limit):
    """bytes -> bytes; refuses a stream that is cut short or that holds more than `limit` bytes."""
    stream = zlib.decompressobj(wbits=31)
    try:
        raw = stream.decompress(packed, limit + 1)
    except zlib.error as error:
        raise SourceFailed(f"is not a sound gzip file ({error})") from error
    if len(raw) > limit:
        raise SourceFailed(f"unpacks to more than the {limit} bytes expected")
    if not stream.eof:
        raise SourceFailed(f"is cut short after {len(raw)} unpacked bytes")
    return raw


def download(url, limit):
    """URL -> bytes, at most `limit` of them, within SOCKET_TIMEOUT_S a read and MIRROR_TIMEOUT_S in all."""
    deadline, length = time.monotonic() + MIRROR_TIMEOUT_S, None
    body = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=SOCKET_TIMEOUT_S) as response:
            length = response.headers.get("Content-Length")
            while chunk := response.read(READ_BYTES):
                body += chunk
                if len(body) > limit:
                    raise SourceFailed(f"is larger than the {limit} bytes expected")
                if time.monotonic() > deadline:
                    raise SourceFailed(f"took longer than {MIRROR_TIMEOUT_S} s")
    except (OSError, ValueError) as error:                            # URLError and timeouts are OSErrors
        raise SourceFailed(f"failed: {getattr(error, 'reason', None) or error}") from error
    except Exception as error:                                        # http.client's own exceptions
        if isinstance(error, SourceFailed):
            raise
        raise SourceFailed(f"failed: {type(error).__name__} {error}") from error
    if length is not None and length.isdigit() and len(body) < int(length):
        raise SourceFailed(f"broke off after {len(body)} of {length} bytes")
    return bytes(body)


def mirror(url, files):
    """A web folder that holds NAME.gz for every file; yields one file at a time."""
    for file in files:
        say(f"  {url.rstrip('/')}/{file.name}.gz")
        try:
            raw = gunzip(download(f"{url.rstrip('/')}/{file.name}.gz", file.size + 4096), file.size)
        except SourceFailed as error:
            raise SourceFailed(f"{file.name}.gz {error}") from error
        yield file, raw


def check(file, raw):
    if len(raw) != file.size:
        raise SourceFailed(f"{file.name} has {len(raw)} bytes, expected {file.size}")
    digest = hashlib.sha256(raw).hexdigest()
    if digest != file.sha256:
        raise SourceFailed(f"{file.name} has sha256 {digest}, expected {file.sha256}")


def is_present(dest, file):
    """True if the file is there with the right sum: then there is nothing to fetch."""
    try:
        with open(os.path.join(dest, file.name), "rb") as stream:
            check(file, stream.read(file.size + 1))
    except (OSError, SourceFailed):
        return False
    return True


def put_down(dest, file, raw):
    """Write under a temporary name in the same folder, fsync, rename: the name appears whole or not at all."""
    fd, temporary = tempfile.mkstemp(dir=dest, prefix=f".{file.name}.")
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(raw)
            stream.flush()
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(stream.fileno(), 0o666 & ~umask)                # mkstemp makes it private to this user
            os.fsync(stream.fileno())
        os.replace(temporary, os.path.join(dest, file.name))
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(dest, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def fetch(title, dest, files, sources):
    """Try `sources`, [(name, function() -> iterable of (IdxFile, raw bytes))], until all `files` are in `dest`.
    Returns the exit status: 0, or 1 after saying what was tried and why each failed."""
    try:
        os.makedirs(dest, exist_ok=True)
        missing = [file for file in files if not is_present(dest, file)]
        failures = []
        for name, source in sources if missing else []:
            say(f"fetching {title}: {name}")
            try:
                for file, raw in source():
                    check(file, raw)
                    if file in missing:
                        put_down(dest, file, raw)
                        missing.remove(file)
                if not missing:
                    break
                raise SourceFailed("did not hold " + ", ".join(file.name for file in missing))
            except (SourceFailed, MemoryError) as error:
                failures.append((name, str(error) or "out of memory"))
    except OSError as error:                                          # our own disk, so no other source can help
        say(f"cannot write {title} to {dest}: {error}")
        return 1
    if missing:
        say(f"could not fetch {title} to {dest}. Tried:")
        for name, why in failures:
            say(f"  {name}: {why}")
        say("Put these files (raw, or gzip with .gz after the name) into a folder and give it as DRIFT_DATA, or as "
            "`path`: " + ", ".join(file.name for file in files))
        return 1
    say(f"{title} is in {dest}, {len(files)} files, all sums right")
    return 0


def main(title, files, mirrors, own_sources, doc):
    """The command line of a fetch script. own_sources: [(key, name, function(files) -> iterable)]"""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", metavar="DEST", help="folder for the four raw IDX files; made if it is not there")
    parser.add_argument("--mirror", metavar="URL", action="append",
                        help="a web folder with the .gz files, in place of the public ones (may be repeated)")
    parser.add_argument("--only", choices=[key for key, _, _ in own_sources] + ["mirror"], help="try no other source")
    options = parser.parse_args()
    sources = [(key, name, lambda read=read: read(files)) for key, name, read in own_sources]
    sources += [("mirror", url, lambda url=url: mirror(url, files)) for url in options.mirror or mirrors]
    # A run that is ended takes the same way out as Ctrl-C, past the code that removes temporary files.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return fetch(title, options.dest, files,
                     [(name, read) for key, name, read in sources if options.only in (None, key)])
    except KeyboardInterrupt:
        return 130
