"""Files that a user names: what cannot be read or written is one line that says why."""

import os

import pytest

from rerank import files
from rerank.errors import InputError


def test_a_file_that_cannot_be_written_is_refused_before_the_work_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "file/x", "File exists")):
        with pytest.raises(InputError, match=f"{path}: cannot be written: {why}"):
            files.refuse_unwritable(path)
    files.refuse_unwritable(tmp_path / "file")
    files.refuse_unwritable(tmp_path / "new/file")
    assert (tmp_path / "file").read_text() == "kept" and not list((tmp_path / "new").iterdir())


def test_a_link_to_a_file_that_is_not_there_yet_stays(tmp_path):
    (tmp_path / "latest").symlink_to(tmp_path / "new")
    files.refuse_unwritable(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink() and not (tmp_path / "new").exists()


def test_a_name_that_no_file_can_have_is_refused_too(tmp_path):
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        files.refuse_unwritable(tmp_path / ("x" * 300))


def test_a_pipe_is_not_opened_before_there_is_something_to_write(tmp_path):
    """Whoever reads it would be told that this is all."""
    os.mkfifo(tmp_path / "pipe")
    files.refuse_unwritable(tmp_path / "pipe")
    assert (tmp_path / "pipe").exists()


def test_a_file_that_begins_with_a_byte_order_mark_is_read_without_it(tmp_path):
    """Windows' editors write one; it was an invalid statement at line 1, column 1."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfdepth = 5\n")
    assert files.read_toml(path) == {"depth": 5}


def test_bytes_that_are_no_text_are_named_by_line_and_a_folder_as_such(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b'depth = 5\nmethod = "caf\xe9"\n')
    with pytest.raises(InputError, match=r"a\.toml:2: not UTF-8: byte 0xe9$"):
        files.read_toml(path)
    with pytest.raises(InputError, match=r"cannot be read: Is a directory$"):
        files.read_toml(tmp_path)


def test_a_file_named_without_its_ending_is_recognised(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").touch()
    with pytest.raises(InputError, match=r"^no prompt called 'mine'; say 'mine\.toml'$"):
        files.find("prompts", "mine")
