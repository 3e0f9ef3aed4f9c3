"""Two documents at a time: a model that is asked which of them is better, both ways round."""

from collections.abc import Sequence
from itertools import permutations

from rerank.engines.tokenisation.spelling import Spelt
from rerank.train.data import Example
from rerank.train.students import AskedStudent, Output


class ComparingStudent(AskedStudent):
    """How far "the first is better" is above "the second is", for every two documents in turn.

    Ranks by the sum over its opponents of a document's chance to win, as duoT5 does.
    """

    def read(self, examples: Sequence[Example]) -> list[Spelt]:
        return [
            self._spelt(example.query, [example.docs[place] for place in turn])
            for example in examples
            for turn in _turns(example)
        ]

    def said(self, examples: Sequence[Example], read: list[Spelt]) -> list[Output]:
        turns = [_turns(example) for example in examples]
        odds = self._odds(read).split([len(every) for every in turns])
        return [
            Output(pairs=self._square(found, every, len(example.docs)))
            for found, every, example in zip(odds, turns, examples, strict=True)
        ]

    def orders(self, asked: Sequence[Example]) -> list[list[int]]:
        return [self._order(example) for example in asked]

    def _order(self, example: Example) -> list[int]:
        [output] = self.outputs([example])
        chances = output.pairs.sigmoid()
        wins = chances.sum(1) - chances.sum(0)
        return [int(place) for place in wins.argsort(descending=True, stable=True)]

    def _square(self, odds: object, turns: Sequence[tuple[int, ...]], count: int) -> object:
        """Rows are the document that is shown first; nobody plays against itself."""
        torch = self.loaded.torch
        rows, columns = torch.tensor(turns, device=self.loaded.device).T
        return torch.zeros(count, count, device=self.loaded.device).index_put((rows, columns), odds)


def _turns(example: Example) -> list[tuple[int, ...]]:
    return [*permutations(range(len(example.docs)), 2)]
