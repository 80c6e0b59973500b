#!/usr/bin/env python3
"""fetch_fashion_mnist.py: put the four raw IDX files of Fashion-MNIST into a folder.

Fashion-MNIST is by Zalando SE, MIT licence. Sources, in order: Debian's package dataset-fashion-mnist where it is
installed; the same package by apt-get, downloaded and read without installing it (so no root is needed); the public
mirrors.
"""
import os
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
from idx_files import IdxFile, SourceFailed, gunzip, main             # noqa: E402  beside this script

FILES = [
    IdxFile("train-images-idx3-ubyte", 47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    IdxFile("train-labels-idx1-ubyte", 60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    IdxFile("t10k-images-idx3-ubyte", 7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    IdxFile("t10k-labels-idx1-ubyte", 10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
]
MIRRORS = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
           "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"]
PACKAGE = "dataset-fashion-mnist"
PACKAGE_FOLDER = "/usr/share/datasets/fashion-mnist"
APT_TIMEOUT_S = 300


def unpack(file, stream, where):
    """One packed file of the package -> (IdxFile, raw bytes)"""
    try:
        return file, gunzip(stream.read(file.size + 4096), file.size)
    except SourceFailed as error:
        raise SourceFailed(f"{where}/{file.name}.gz {error}") from error


def installed(files):
    """The source: the package's folder, if the package is installed."""
    for file in files:
        try:
            with open(f"{PACKAGE_FOLDER}/{file.name}.gz", "rb") as stream:
                yield unpack(file, stream, PACKAGE_FOLDER)
        except OSError as error:
            raise SourceFailed(f"{PACKAGE} is not installed ({error.strerror}: {error.filename})") from error


def apt_get(arguments, folder):
    """Run apt-get in `folder`; returns None, or the line that says what failed."""
    try:
        apt = subprocess.run(["apt-get", "-q", *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                             timeout=APT_TIMEOUT_S, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        return "there is no apt-get here"
    except subprocess.TimeoutExpired:
        return f"apt-get took longer than {APT_TIMEOUT_S} s"
    if apt.returncode == 0:
        return None
    errors = [line for line in apt.stdout.splitlines() if line.startswith("E:")]
    return errors[0] if errors else f"apt-get ended with status {apt.returncode}"


def apt_download(folder):
    """Have apt-get put the package into `folder`, checked against the archive's signature; returns its path. A fresh
    machine may have no package lists: then they are fetched into `folder` as well, which any user may do."""
    failure = apt_get(["download", PACKAGE], folder)
    if failure and "no apt-get" not in failure:
        os.makedirs(f"{folder}/lists/partial")
        own_lists = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
        os.makedirs(f"{folder}/cache/archives/partial")
        if not apt_get([*own_lists, "update"], folder):
            failure = apt_get([*own_lists, "download", PACKAGE], folder)
    packages = [name for name in os.listdir(folder) if name.startswith(PACKAGE) and name.endswith(".deb")]
    if failure or len(packages) != 1:
        raise SourceFailed(failure or "apt-get gave no package")
    return os.path.join(folder, packages[0])


def package(files):
    """The source: the package from the Debian archive, read as a stream, of which only the four files are looked at."""
    wanted = {f".{PACKAGE_FOLDER}/{file.name}.gz": file for file in files}
    with tempfile.TemporaryDirectory(prefix="drift-fashion-mnist-") as folder:
        path = apt_download(folder)
        try:
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dpkg:
                with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
                    for member in archive:
                        if member.isreg() and member.name in wanted:
                            yield unpack(wanted[member.name], archive.extractfile(member), PACKAGE)
        except (OSError, tarfile.TarError) as error:
            raise SourceFailed(f"the package cannot be read: {error}") from error


if __name__ == "__main__":
    sys.exit(main("Fashion-MNIST", FILES, MIRRORS,
                  [("installed", f"{PACKAGE_FOLDER} (Debian's {PACKAGE})", installed),
                   ("package", f"apt-get download {PACKAGE}", package)], __doc__))
