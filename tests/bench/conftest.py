"""Benches of speed run for who names their folder; what they record is written at the end."""

from bench import report


def pytest_addoption(parser):
    teach = {"action": "append", "default": [], "metavar": "METHOD=MODEL"}
    parser.addoption("--teacher", **teach, help="a model that teaches the retriever; repeatable")
    parser.addoption("--queries", type=int, help="as many queries at the most, where models teach")


def pytest_ignore_collect(collection_path, config):
    """They take minutes, install peers and assert little: no part of the tests."""
    named = any("bench" in str(asked) for asked in config.invocation_params.args)
    return True if collection_path.match("test_speed_*.py") and not named else None


def pytest_sessionfinish():
    if report.MEASURED:
        report.write()
