"""The data sets of the book: `load("digits")`, `load("mnist")`, `load("fashion-mnist")`.

digits comes with scikit-learn. The other two are downloaded once, verified and kept in
`$BNLIB_DATA`, else `$XDG_CACHE_HOME/bnlib`, else `~/.cache/bnlib`, as `mnist/*.gz` and
`fashion-mnist/*.gz`. `$BNLIB_DATA_URL` replaces the public mirrors: one or more addresses,
separated by spaces, below which lie the same two folders.
"""

import gzip
import hashlib
import http.client
import math
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DIGITS_TRAIN = 1437  # of 1797: four fifths, in scikit-learn's order
TRIES = 2  # for each mirror: a second try resumes what the first left
TIMEOUT_S = 30
CHUNK_BYTES = 1 << 16
MAX_IDX_BYTES = 1 << 26  # a damaged archive must not fill the memory

FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their classes, split into train and test.

    x_train, x_test  (N, 8, 8) float64 from 0 to 16 (digits); (N, 28, 28) uint8 (the others)
    y_train, y_test  (N,) int64 from 0 to 9
    x, y             train and test together, in the order in which they were published
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def x(self) -> np.ndarray:
        return np.concatenate([self.x_train, self.x_test])

    @property
    def y(self) -> np.ndarray:
        return np.concatenate([self.y_train, self.y_test])

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, x_train {self.x_train.shape}, x_test {self.x_test.shape}, "
            f"{self.x_train.dtype})"
        )


@dataclass(frozen=True)
class Remote:
    """A data set to download: folders that hold `FILES`, and what the files contain.

    The hashes are of the unpacked files: the same data is published in different gzip packings.
    """

    mirrors: tuple[str, ...]
    sha256: dict[str, str]


REMOTES = {
    "mnist": Remote(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        sha256={
            "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": Remote(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        sha256={
            "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
}


def load(name: str) -> Dataset:
    """The data set "digits", "mnist" or "fashion-mnist", from the cache if it is there.

    digits is split in scikit-learn's order: the first 1437 images train, the last 360 test.
    Raises ValueError for another name; ImportError if digits are asked for without scikit-learn;
    OSError if files are neither in the cache nor to be had,
    PermissionError among them if the cache folder cannot be written.
    Source: UCI optdigits; LeCun et al. 1998; Xiao, Rasul & Vollgraf 2017.
    """
    if name == "digits":
        return _load_digits()
    if name not in REMOTES:
        names = ", ".join(map(repr, ["digits", *REMOTES]))
        raise ValueError(f"name: expected one of {names}, got {name!r}")
    arrays = {
        part: read_idx(_fetch(name, part), ndim=3 if part.startswith("x_") else 1) for part in FILES
    }
    for split in ("train", "test"):
        images, labels = len(arrays[f"x_{split}"]), len(arrays[f"y_{split}"])
        if images != labels:
            raise ValueError(f"{name}: expected a label an image, got {labels} for {images}")
        arrays[f"y_{split}"] = arrays[f"y_{split}"].astype(np.int64)
    return Dataset(name, **arrays)


def _load_digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(f"digits come with scikit-learn, which is not there: {error}") from error

    digits = load_digits()
    train, test = slice(None, DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    x, y = digits.images, digits.target
    return Dataset("digits", x[train], y[train], x[test], y[test])


def read_idx(content: bytes, ndim: int) -> np.ndarray:
    """The array of bytes in an IDX file.

        00 00 08 ndim | ndim big-endian uint32: the shape | the values, one byte each

    Returns a uint8 array that may be written to.
    Raises ValueError if the magic number, the shape or the length disagree.
    """
    magic = bytes([0, 0, 8, ndim])
    if content[:4] != magic:
        raise ValueError(f"content: expected IDX magic {magic.hex()}, got {content[:4].hex()!r}")
    header = 4 + 4 * ndim
    if len(content) < header:
        raise ValueError(f"content: expected a header of {header} bytes, got {len(content)}")
    shape = tuple(np.frombuffer(content, ">u4", ndim, offset=4).tolist())
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"content: expected {math.prod(shape)} bytes for shape {shape}, "
            f"got {len(content) - header}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def cache_folder() -> Path:
    """Where downloaded data sets are kept; see the top of this module."""
    if folder := os.environ.get("BNLIB_DATA"):
        return Path(os.path.expanduser(folder))  # ~name of nobody stays as it is
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bnlib"


def _fetch(name: str, part: str) -> bytes:
    """The unpacked, verified content of one file, downloaded unless the cache has it whole."""
    folder = cache_folder() / name
    path, sha256 = folder / FILES[part], REMOTES[name].sha256[part]
    content = _verified(path, sha256)
    if content is None:
        with _locked(folder):
            # Another process may have fetched the file while this one waited for the lock.
            content = _verified(path, sha256)
            if content is None:
                content = _download(_urls(name, FILES[part]), path, sha256)
    return content


def _verified(path: Path, sha256: str) -> bytes | None:
    """What the gzip file unpacks to, or None if it is missing, damaged or something else."""
    try:
        with gzip.open(path) as archive:
            content = archive.read(MAX_IDX_BYTES)
    except (OSError, EOFError, zlib.error):
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _urls(name: str, file: str) -> list[str]:
    """The file's addresses, in the order in which to try them."""
    bases = os.environ.get("BNLIB_DATA_URL", "").split()
    folders = [f"{base.rstrip('/')}/{name}" for base in bases] or REMOTES[name].mirrors
    return [f"{folder}/{file}" for folder in folders]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time writes to the folder; a lock dies with the process that holds it."""
    from filelock import FileLock

    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except OSError as error:
        raise OSError(
            error.errno,
            f"{folder.name} is not complete in the cache folder, which cannot be written "
            f"({error.strerror}). Set BNLIB_DATA to a folder that can be",
            str(folder),
        ) from error
    with held:
        yield


def _download(urls: list[str], path: Path, sha256: str) -> bytes:
    """Put the file at `path` once it is whole and verified, and return its unpacked content."""
    failures = []
    for url in (url for url in urls for _ in range(TRIES)):
        # Mirrors may pack the same data differently, so each resumes only what it began itself.
        partial = path.with_name(f"{path.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
        try:
            _transfer(url, partial)
        except (OSError, http.client.HTTPException, ValueError) as error:  # of a malformed address
            failures.append(f"  {url}: {str(error) or type(error).__name__}")
            continue
        content = _verified(partial, sha256)
        if content is not None:
            os.replace(partial, path)
            for abandoned in path.parent.glob(f"{path.name}.*.part"):
                abandoned.unlink()
            return content
        partial.unlink()
        failures.append(f"  {url}: wrong content (SHA-256)")
    raise OSError(
        f"could not download {path.name}\n" + "\n".join(dict.fromkeys(failures)) + "\n"
        f"The cache folder {path.parent} {'holds a damaged copy' if path.exists() else 'has none'}."
        " Check the network, or put the file there, or set BNLIB_DATA to a folder that has "
        f"{path.parent.name}/{path.name}, or BNLIB_DATA_URL to a mirror."
    )


def _transfer(url: str, partial: Path) -> None:
    """Bring the partial file to full length, going on where it ends if the server can.

    Needs no If-Range: if the file changed on the server, its hash is wrong and it starts over.
    """
    done = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.unlink()  # there is nothing after its end
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = response.headers["Content-Length"]
        total = done + int(length) if length else None
        with (
            open(partial, "ab" if done else "wb") as file,
            _progress(url.rsplit("/", 1)[-1], done, total) as advance,
        ):
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                advance(len(chunk))
            received = file.tell()
    if total is not None and received < total:
        raise ConnectionError(f"the transfer stopped after {received} of {total} bytes")


@contextmanager
def _progress(label: str, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """Yields what is to be told of each chunk's size; it draws a bar where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda byte_count: None
        return
    with tqdm(desc=label, initial=done, total=total, unit="B", unit_scale=True, leave=False) as bar:
        yield bar.update
