import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.datasets.lines import lines, records, whole
from rerank.errors import InputError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.jsonl"


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(records(path))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def test_a_line_ends_at_a_newline_and_nowhere_else(file):
    text = "a\rb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h\r"
    file.write_bytes(f"{text}\n{text}".encode())
    assert list(lines(file)) == [(1, text), (2, text)]


def test_blank_lines_are_left_out_and_still_counted(file):
    file.write_bytes(b"\n  \t\r\nthree\n\nfive\n\n")
    assert list(lines(file)) == [(3, "three"), (5, "five")]


def test_a_byte_order_mark_is_no_part_of_the_first_line(file):
    file.write_bytes(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")
    assert list(lines(file)) == [(1, "one"), (2, "\ufefftwo")]


def test_gzip_is_known_by_its_bytes_whatever_the_name_says(tmp_path):
    packed, plain = tmp_path / "packed.tsv", tmp_path / "plain.gz"
    packed.write_bytes(gzip.compress(b"a\nb"))
    plain.write_bytes(b"a\nb")
    assert list(lines(packed)) == list(lines(plain)) == [(1, "a"), (2, "b")]


def test_gzip_members_one_after_the_other_are_one_file(file):
    file.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert [line for _, line in lines(file)] == ["a", "b"]


def test_an_empty_file_has_no_lines(file):
    file.write_bytes(b"")
    assert list(lines(file)) == []


def test_a_gzip_file_that_is_cut_off_is_named_with_the_line(file):
    whole_file = gzip.compress(b"{}\n" * 5, mtime=0)
    file.write_bytes(whole_file[:-8])
    assert refusal(file).startswith("F:6: the gzip file is cut off or damaged from here on")


def test_a_gzip_file_that_is_damaged_is_named_with_the_line(file):
    file.write_bytes(gzip.compress(b"{}\n" * 5, mtime=0)[:-8] + bytes(8))
    assert refusal(file).startswith("F:6: the gzip file is cut off or damaged from here on")
    file.write_bytes(gzip.compress(b"{}\n", mtime=0) + b"more")
    assert refusal(file).startswith("F:2: the gzip file is cut off or damaged from here on")


def test_what_is_not_utf_8_is_named_with_its_byte(file):
    file.write_bytes(b"{}\n" + '{"a": "é"}'.encode("latin-1"))
    assert refusal(file) == "F:2: not UTF-8: byte 0xe9 at byte 8 of the line"


def test_a_file_that_is_not_there_is_named(file):
    assert refusal(file) == "F: no such file"


def test_a_folder_is_not_read_as_a_file(tmp_path):
    assert refusal(tmp_path) == "F: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a" 1}', "F:2: not JSON at column 6: Expecting ':' delimiter"),
        ('{"a": "b', "F:2: not JSON at column 7: Unterminated string starting at"),
        ("[1]", "F:2: needs a JSON object, not '[1]'"),
        (
            '{"a": "\\ud83d"}',
            r"F:2: half of a surrogate pair (\ud800 to \udfff alone), which is no character",
        ),
        ('{"a": ' + "9" * 5000 + "}", "F:2: not JSON that can be read: Exceeds the limit"),
        (
            '{"a": {"b": 1, "c": 2, "b": 3}}',
            "F:2: not JSON that can be read: key 'b' is there twice in one object",
        ),
        ("[" * 100_000, "F:2: not JSON that can be read: "),
    ],
)
def test_what_is_not_a_json_object_is_named_with_line_and_column(file, line, message):
    file.write_text("{}\n" + line + "\n{}\n")
    assert refusal(file).startswith(message)


def test_a_whole_surrogate_pair_is_one_character(file):
    file.write_text('{"a": "\\ud83d\\ude00"}')
    assert [row for _, row in records(file)] == [{"a": "😀"}]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_as_it_was_written(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "text"
    path.write_bytes(text.encode())
    assert whole(path) == text.removeprefix("\ufeff").removesuffix("\n")
