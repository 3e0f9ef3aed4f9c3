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


def test_a_pipe_is_not_opened_before_there_is_something_to_write(tmp_path):
    """Whoever reads it would be told that this is all."""
    os.mkfifo(tmp_path / "pipe")
    files.refuse_unwritable(tmp_path / "pipe")
    assert (tmp_path / "pipe").exists()
