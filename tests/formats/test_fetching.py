"""An archive is fetched whole, checked and unpacked, or nothing is there and one line says why."""

import hashlib
import io
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import archives

from rerank.errors import EngineError
from rerank.retrieve.fetching import fetched

SECRET = random.Random(0).randbytes(300_000)


def packed(names=("index/segments_1", "index/_0.cfs")):
    """A .tar.gz of files with the same random bytes, which do not compress."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(SECRET)
            tar.addfile(member, io.BytesIO(SECRET))
    return file.getvalue()


WHOLE = packed()
MD5 = hashlib.md5(WHOLE).hexdigest()


@pytest.fixture
def server():
    with archives({"/x.tar.gz": WHOLE}) as server:
        yield server


@pytest.fixture
def get(server, tmp_path):
    def get(md5=MD5):
        return fetched(f"{server.address}/x.tar.gz", md5, tmp_path / "kept" / f"x.{md5}")

    return get


def refused(get, *given):
    with pytest.raises(EngineError) as said:
        get(*given)
    assert "\n" not in str(said.value)
    return str(said.value)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_there_under_its_name_and_fetched_once(get, server):
    for _ in range(2):
        folder = get()
        assert (folder / "segments_1").read_bytes() == SECRET
    assert server.asked == [None]
    assert left(folder) == ["_0.cfs", "segments_1"] and left(folder.parent) == [folder.name]


def test_two_that_fetch_it_at_the_same_time_fetch_it_once(get, server):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: get(), range(2))
    assert one == other and (one / "segments_1").read_bytes() == SECRET
    assert server.asked == [None] and left(one.parent) == [one.name]


def test_a_connection_that_broke_goes_on_where_it_was(get, server):
    server.breaks = [200_000, 200_000]
    said = refused(get)
    assert said.startswith(f"{server.address}/x.tar.gz could not be fetched: the connection ended")
    assert said.endswith("0.4 MB too early; the next try goes on after 0.2 MB")
    assert "after 0.4 MB" in refused(get)
    assert get().is_dir()
    assert server.asked == [None, "bytes=200000-", "bytes=400000-"]


def test_a_server_that_cannot_go_on_begins_again(get, server):
    server.breaks, server.ranges = [1000], False
    refused(get)
    assert get().is_dir()


def test_a_run_that_was_killed_before_it_unpacked_fetches_nothing_again(get, server, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / f"x.{MD5}.part").write_bytes(WHOLE)
    assert get().is_dir()
    assert server.asked == [f"bytes={len(WHOLE)}-"]


def test_an_archive_with_another_checksum_is_deleted_and_never_unpacked(get, server, tmp_path):
    said = refused(get, "0" * 32)
    assert said.endswith(f"came with the MD5 {MD5} and should have {'0' * 32}; it is deleted,"
                         " fetch it again")  # fmt: skip
    assert left(tmp_path / "kept") == []


def test_a_part_that_was_damaged_is_found_out_and_mended_by_the_next_try(get, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / f"x.{MD5}.part").write_bytes(b"junk")
    assert "came with the MD5" in refused(get)
    assert get().is_dir()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"no archive", "is no archive of one folder: not a gzip file"),
        (packed(["a/x", "b/x"]), "is no archive of one folder: too many values"),
        (packed(["../x"]), "is no archive of one folder: '../x' would be extracted"),
    ],
)
def test_what_holds_no_index_is_one_line(content, wrong, get, server, tmp_path):
    server.files["/x.tar.gz"] = content
    assert wrong in refused(get, hashlib.md5(content).hexdigest())
    assert left(tmp_path / "kept") == [] and not (tmp_path / "x").exists()


def test_a_server_that_says_no_or_is_not_there_is_one_line(get, server, tmp_path):
    server.files.clear()
    assert refused(get).endswith("/x.tar.gz could not be fetched: Not Found")
    with pytest.raises(EngineError, match=r"could not be fetched: .*refused"):
        fetched("http://127.0.0.1:9/x.tar.gz", MD5, tmp_path / "x")
