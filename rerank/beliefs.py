"""What language models take documents for: beliefs about relevance that are fitted, not guessed.

Three models labelled every judged passage of TREC DL 2019 from 0 to 3 (9260 passages: `llmjudge`,
four prompts each). A label is taken for the place of a normal belief between three cuts; the
belief's mean and spread for each true grade are those that make the labels most likely. A belief
knows nothing of questions.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Belief:
    """What a judge believes of documents of each true grade, in spreads of those of grade 0.

    `kept` is the share of the variance that it holds on to; the rest is new in every question.
    Labels were given once, so that share is not in them: it is the correlation, given the true
    grade, with the most similar of the other models.
    """

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    kept: float

    def at(self, grade: float) -> tuple[float, float]:
        """Mean and spread for a grade; what is above the highest is as the highest."""
        place = min(max(int(grade), 0), len(self.means) - 1)
        return self.means[place], self.spreads[place]


BELIEFS: dict[str, Belief] = {
    "llama3-70b": Belief((0.0, 1.13, 1.85, 2.00), (1.0, 0.81, 0.92, 1.96), 0.78),
    "llama3-8b": Belief((0.0, 0.93, 1.20, 1.38), (1.0, 0.79, 0.77, 1.54), 0.78),
    "flan-t5-large": Belief((0.0, 0.74, 1.28, 1.37), (1.0, 0.87, 0.87, 1.61), 0.56),
}
