"""bnlib.data: what a network, a disk and a second process can do to a download."""

import gzip
import hashlib
import http.client
import http.server
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bnlib import data
from bnlib.data import FILES, Remote, load, read_idx

SHARED_DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"
TINY = {
    "x_train": np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4),
    "y_train": np.array([7, 0, 9], np.uint8),
    "x_test": np.arange(100, 140, dtype=np.uint8).reshape(2, 5, 4),
    "y_test": np.array([4, 1], np.uint8),
}
X_TRAIN = FILES["x_train"]


def idx(array) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


TINY_FILES = {FILES[part]: gzip.compress(idx(array), mtime=0) for part, array in TINY.items()}
TINY_SHA256 = {part: hashlib.sha256(idx(array)).hexdigest() for part, array in TINY.items()}


class Server(http.server.ThreadingHTTPServer):
    """A mirror on this machine that can be told to misbehave."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.requests: list[tuple[str, str | None]] = []  # file name and Range header
        self.cut_after: list[int] = []  # bytes after which to drop each coming transfer
        self.knows_ranges = True
        self.delay_s = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def ranges_of(self, file: str) -> list[str | None]:
        return [byte_range for name, byte_range in self.requests if name == file]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file, byte_range = self.path.rsplit("/", 1)[-1], self.headers["Range"]
        self.server.requests.append((file, byte_range))
        time.sleep(self.server.delay_s)
        if file not in self.server.files or "//" in self.path:
            return self.send_error(404)
        body, status = self.server.files[file], 200
        if byte_range and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", byte_range)[1])
            if start >= len(body):
                return self.send_error(416)
            body, status = body[start:], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cut_after.pop(0) if self.server.cut_after else None
        self.wfile.write(body[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def start_server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(files=TINY_FILES) -> Server:
        servers.append(Server(dict(files)))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLIB_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("BNLIB_DATA_URL", raising=False)
    return tmp_path / "cache" / "tiny"


@pytest.fixture
def server(cache, start_server, monkeypatch):
    """A mirror of the data set "tiny", and an empty cache."""
    mirror = start_server()
    monkeypatch.setitem(data.REMOTES, "tiny", Remote((mirror.url,), TINY_SHA256))
    return mirror


def fill(folder, files=TINY_FILES):
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)


def files_in(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def assert_is_tiny(dataset):
    for part, array in TINY.items():
        np.testing.assert_array_equal(getattr(dataset, part), array)


# --- what load returns ---------------------------------------------------------------------------


def test_digits_are_scikit_learns_in_its_order():
    from sklearn.datasets import load_digits

    digits = load("digits")
    assert digits.x_train.shape == (1437, 8, 8) and digits.x_test.shape == (360, 8, 8)
    assert digits.x.dtype == np.float64 and digits.y.dtype == np.int64
    assert (digits.x.min(), digits.x.max()) == (0, 16)
    np.testing.assert_array_equal(digits.x, load_digits().images)
    np.testing.assert_array_equal(digits.y, load_digits().target)


def test_a_download_gives_images_that_can_be_written_to_and_int64_labels(server):
    tiny = load("tiny")
    assert_is_tiny(tiny)
    assert tiny.x_train.dtype == np.uint8 and tiny.x_train.flags.writeable
    assert tiny.y_train.dtype == tiny.y_test.dtype == np.int64
    np.testing.assert_array_equal(tiny.y, [7, 0, 9, 4, 1])
    np.testing.assert_array_equal(tiny.x[3:], TINY["x_test"])
    assert repr(tiny) == "Dataset('tiny', x_train (3, 5, 4), x_test (2, 5, 4), uint8)"


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs the real files in ../shared/data")
@pytest.mark.parametrize(
    ("name", "mean", "first_labels", "class_counts"),
    [
        ("mnist", 0.1307, [5, 0, 4, 1, 9], (6313, 7877)),
        ("fashion-mnist", 0.2860, [9, 0, 0, 3, 0], (7000, 7000)),
    ],
)
def test_the_real_files_download_and_verify(
    name, mean, first_labels, class_counts, cache, start_server, monkeypatch
):
    files = {path.name: path.read_bytes() for path in (SHARED_DATA / name).iterdir()}
    mirror = start_server(files)
    monkeypatch.setenv("BNLIB_DATA_URL", mirror.url)
    dataset = load(name)
    assert dataset.x_train.shape == (60000, 28, 28) and dataset.x_test.shape == (10000, 28, 28)
    assert dataset.x_train.mean() / 255 == pytest.approx(mean, abs=5e-5)  # widely published
    assert dataset.y_train[:5].tolist() == first_labels
    counts = np.bincount(dataset.y)
    assert (counts.min(), counts.max()) == class_counts
    load(name)
    assert len(mirror.requests) == len(files)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'digits', 'mnist', 'fashion-mnist', got 'cifar'"):
        load("cifar")


# --- cache ---------------------------------------------------------------------------------------


def test_the_second_load_needs_no_network(server, cache):
    load("tiny")
    server.files.clear()
    assert_is_tiny(load("tiny"))
    assert len(server.requests) == 4
    assert files_in(cache) == set(TINY_FILES)


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:-9], lambda whole: b"", lambda whole: b"\0" + whole[1:]],
    ids=["truncated", "empty", "not gzip"],
)
def test_a_damaged_cache_is_fetched_again(server, cache, damage):
    fill(cache)
    (cache / X_TRAIN).write_bytes(damage(TINY_FILES[X_TRAIN]))
    assert_is_tiny(load("tiny"))
    assert server.requests == [(X_TRAIN, None)]
    assert (cache / X_TRAIN).read_bytes() == TINY_FILES[X_TRAIN]


def test_a_valid_archive_of_something_else_is_fetched_again(server, cache):
    fill(cache)
    (cache / X_TRAIN).write_bytes(gzip.compress(idx(TINY["x_train"] + 1)))
    assert_is_tiny(load("tiny"))
    assert server.requests == [(X_TRAIN, None)]


def test_the_same_data_packed_differently_is_accepted(server, cache):
    files = {FILES[part]: gzip.compress(idx(array), 1, mtime=5) for part, array in TINY.items()}
    assert files != TINY_FILES
    fill(cache, files)
    assert_is_tiny(load("tiny"))
    assert server.requests == []


def make_read_only(monkeypatch):
    """Refuse to write, as a read-only disk does; permission bits would not stop root."""
    real_open, real_os_open = open, os.open

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    def read_only_open(path, mode="r", *arguments, **options):
        return (real_open if set(mode) <= set("rbt") else refuse)(path, mode, *arguments, **options)

    def read_only_os_open(path, flags, *arguments, **options):
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return (refuse if writes else real_os_open)(path, flags, *arguments, **options)

    monkeypatch.setattr("builtins.open", read_only_open)
    monkeypatch.setattr(os, "open", read_only_os_open)
    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(os, "replace", refuse)


def test_a_read_only_cache_with_the_files_is_enough(server, cache, monkeypatch):
    fill(cache)
    make_read_only(monkeypatch)
    assert_is_tiny(load("tiny"))
    assert server.requests == []


@pytest.mark.parametrize("there", [{}, {X_TRAIN: b"damaged"}], ids=["no file", "damaged file"])
def test_a_read_only_cache_without_the_files_says_so(server, cache, monkeypatch, there):
    fill(cache, there)
    make_read_only(monkeypatch)
    with pytest.raises(PermissionError, match=r"cannot be written.*Set BNLIB_DATA") as caught:
        load("tiny")
    assert str(cache) in str(caught.value)
    assert server.requests == []


def test_a_cache_folder_under_a_file_says_so(server, cache):
    cache.parent.write_text("not a folder")
    with pytest.raises(NotADirectoryError, match=r"cannot be written.*Set BNLIB_DATA") as caught:
        load("tiny")
    assert str(cache) in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"BNLIB_DATA": "/one", "XDG_CACHE_HOME": "/two"}, "/one"),
        ({"XDG_CACHE_HOME": "/two"}, "/two/bnlib"),
        ({"BNLIB_DATA": "", "XDG_CACHE_HOME": "", "HOME": "/three"}, "/three/.cache/bnlib"),
        ({"BNLIB_DATA": "~/four", "HOME": "/three"}, "/three/four"),
    ],
)
def test_the_cache_folder_can_be_chosen(variables, expected, monkeypatch):
    for name in ("BNLIB_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data.cache_folder() == pathlib.Path(expected)


# --- transfers -----------------------------------------------------------------------------------


def test_a_transfer_that_breaks_off_is_resumed(server, cache):
    server.cut_after = [20]
    assert_is_tiny(load("tiny"))
    assert server.ranges_of(X_TRAIN) == [None, "bytes=20-"]
    assert files_in(cache) == set(TINY_FILES)


def test_the_next_load_goes_on_where_the_last_one_failed(server, cache):
    server.cut_after = [20, 5]
    with pytest.raises(OSError, match=f"stopped after 25 of {len(TINY_FILES[X_TRAIN])} bytes"):
        load("tiny")
    assert not (cache / X_TRAIN).exists()
    assert_is_tiny(load("tiny"))
    assert server.ranges_of(X_TRAIN) == [None, "bytes=20-", "bytes=25-"]


def test_a_server_without_ranges_starts_over(server):
    server.cut_after, server.knows_ranges = [20], False
    assert_is_tiny(load("tiny"))
    assert server.ranges_of(X_TRAIN) == [None, "bytes=20-"]


def test_a_file_that_changed_between_two_parts_starts_over(server):
    whole = TINY_FILES[X_TRAIN]
    server.files[X_TRAIN] = b"\xff" * len(whole)
    server.cut_after = [20, 5]
    with pytest.raises(OSError, match="stopped after 25"):
        load("tiny")
    server.files[X_TRAIN] = whole
    assert_is_tiny(load("tiny"))
    assert server.ranges_of(X_TRAIN)[2:] == ["bytes=25-", None]


def test_a_complete_part_that_was_never_verified_is_no_dead_end(server, cache):
    server.cut_after = [20, 5]
    with pytest.raises(OSError, match="stopped after 25"):
        load("tiny")
    (partial,) = cache.glob("*.part")
    partial.write_bytes(TINY_FILES[X_TRAIN])
    assert_is_tiny(load("tiny"))


def test_a_mirror_with_wrong_content_is_refused(server, cache):
    server.files[X_TRAIN] = gzip.compress(idx(TINY["x_train"] + 1))
    with pytest.raises(OSError, match=r"wrong content \(SHA-256\)"):
        load("tiny")
    assert files_in(cache) == set()


def test_the_next_mirror_is_tried_and_never_given_anothers_half(cache, start_server, monkeypatch):
    packed_otherwise = gzip.compress(idx(TINY["x_train"]), 1, mtime=5)
    bad, good = start_server(), start_server({**TINY_FILES, X_TRAIN: packed_otherwise})
    bad.cut_after = [20, 5]
    monkeypatch.setitem(data.REMOTES, "tiny", Remote((bad.url, good.url), TINY_SHA256))
    assert_is_tiny(load("tiny"))
    assert good.requests == [(X_TRAIN, None)]
    assert (cache / X_TRAIN).read_bytes() == packed_otherwise
    assert files_in(cache) == set(TINY_FILES)


def test_other_mirrors_can_be_named_in_the_environment(server, start_server, monkeypatch):
    first, second = start_server({}), start_server()
    monkeypatch.setenv("BNLIB_DATA_URL", f"{first.url} {second.url}/data/")
    assert_is_tiny(load("tiny"))
    assert not server.requests and first.requests and len(second.requests) == 4


@pytest.mark.parametrize("malformed", ["my/mirror", "http://[half", "ftpp://a.mirror"])
def test_a_malformed_address_does_not_keep_the_next_from_being_tried(
    malformed, server, cache, monkeypatch
):
    monkeypatch.setenv("BNLIB_DATA_URL", f"{malformed} {server.url}/data/")
    assert_is_tiny(load("tiny"))
    monkeypatch.setenv("BNLIB_DATA_URL", malformed)
    (cache / X_TRAIN).unlink()
    with pytest.raises(OSError, match=re.escape(malformed)):
        load("tiny")


def test_digits_without_scikit_learn_name_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="digits come with scikit-learn"):
        data.load("digits")


def test_no_network_names_the_address_the_folder_and_what_to_do(cache, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=f"could not download {X_TRAIN}") as caught:
        load("tiny")
    for part in (f"{server.url}/{X_TRAIN}", "refused", str(cache), "BNLIB_DATA", "BNLIB_DATA_URL"):
        assert part in str(caught.value)
    assert str(caught.value).count(server.url) == 1
    assert "has none" in str(caught.value)


def test_no_network_and_a_damaged_cache_says_both(cache, server):
    fill(cache, {X_TRAIN: b"damaged"})
    server.files.clear()
    with pytest.raises(OSError, match="holds a damaged copy") as caught:
        load("tiny")
    assert "404" in str(caught.value)


def test_a_mirror_that_does_not_answer_is_given_up(server, monkeypatch):
    monkeypatch.setattr(data, "TIMEOUT_S", 0.1)
    server.delay_s = 1
    with pytest.raises(OSError, match="timed out"):
        load("tiny")


def test_no_archive_is_unpacked_without_limit(server, monkeypatch):
    monkeypatch.setattr(data, "MAX_IDX_BYTES", len(idx(TINY["x_train"])) - 1)
    with pytest.raises(OSError, match="wrong content"):
        load("tiny")


@pytest.mark.parametrize("moment", ["while reading", "before renaming"])
def test_an_interrupted_download_leaves_nothing_under_the_final_name(
    server, cache, monkeypatch, moment
):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if moment == "while reading":
            patch.setattr(http.client.HTTPResponse, "read", interrupt)
        else:
            patch.setattr(os, "replace", interrupt)
        load("tiny")
    assert len(files_in(cache)) == 1 and X_TRAIN not in files_in(cache)
    assert_is_tiny(load("tiny"))
    assert files_in(cache) == set(TINY_FILES)


def test_progress_is_shown_where_tqdm_is_installed(server, capsys):
    load("tiny")
    assert X_TRAIN in capsys.readouterr().err


def test_nothing_but_the_bar_needs_tqdm(server, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert_is_tiny(load("tiny"))
    assert capsys.readouterr() == ("", "")


# --- two processes -------------------------------------------------------------------------------


def _load_when_all_are_ready(barrier, remote, answers):
    data.REMOTES["tiny"] = remote
    barrier.wait()
    answers.put(int(load("tiny").x.sum()))


def test_two_processes_at_once_download_once(server):
    server.delay_s = 0.2  # so that the second process arrives while the first is still at it
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    arguments = (barrier, data.REMOTES["tiny"], answers)
    processes = [context.Process(target=_load_when_all_are_ready, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    expected = int(TINY["x_train"].sum()) + int(TINY["x_test"].sum())
    assert [answers.get(timeout=60) for _ in processes] == [expected, expected]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert sorted(server.requests) == sorted((file, None) for file in TINY_FILES)


# --- IDX -----------------------------------------------------------------------------------------


def test_idx_round_trip():
    for array in TINY.values():
        np.testing.assert_array_equal(read_idx(idx(array), array.ndim), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic 00000803, got ''"),
        (b"\x80\x04" + idx(TINY["x_train"]), "magic 00000803, got '80040000'"),
        (idx(TINY["y_train"]), "magic 00000803, got '00000801'"),
        (idx(TINY["x_train"])[:9], "header of 16 bytes, got 9"),
        (idx(TINY["x_train"])[:-1], r"60 bytes for shape \(3, 5, 4\), got 59"),
        (idx(TINY["x_train"]) + b"\0", r"60 bytes for shape \(3, 5, 4\), got 61"),
    ],
)
def test_idx_that_disagrees_with_itself_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_idx(content, ndim=3)


def test_images_and_labels_must_match(server, monkeypatch):
    labels = idx(TINY["y_test"])
    server.files[FILES["y_train"]] = gzip.compress(labels)
    sha256 = {**TINY_SHA256, "y_train": hashlib.sha256(labels).hexdigest()}
    monkeypatch.setitem(data.REMOTES, "tiny", Remote((server.url,), sha256))
    with pytest.raises(ValueError, match="tiny: expected a label an image, got 2 for 3"):
        load("tiny")


# --- imports -------------------------------------------------------------------------------------


def test_importing_bnlib_data_needs_numpy_alone():
    script = (
        "import sys, bnlib.data; "
        "sys.exit(bool({'sklearn', 'tqdm', 'filelock', 'torch', 'scipy'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
