"""What a reader makes of a reply, in the letters of its labels."""

from rerank.readers import READERS
from rerank.records import Status
from rerank.wants import Reply

OK, REPAIRED, UNREADABLE = Status.OK, Status.REPAIRED, Status.UNREADABLE
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read(name, text="", labels=("1", "2", "3"), scores=(), finished=True):
    return READERS[name].read(Reply(text, scores=tuple(scores), finished=finished), labels)


def order(text, labels=("1", "2", "3")):
    """The order that a reply was read as, in the labels themselves, and the status."""
    value, status = read("permutation", text, labels)
    return "".join(labels[place] for place in value), status


def sorted_by(name, text, labels=("1", "2", "3")):
    """The order that another reader of orders finds, and the status."""
    value, status = read(name, text, labels)
    return "".join(labels[place] for place in value), status


def picked(text, labels="ABC"):
    """The label that has all the weight, and the status."""
    weights, status = read("picked-label", text, labels)
    best = [label for label, weight in zip(labels, weights, strict=True) if weight]
    return "".join(best), status
