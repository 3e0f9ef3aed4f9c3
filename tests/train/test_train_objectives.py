"""Each objective on numbers small enough to be worked out by hand."""

from itertools import permutations
from math import exp, inf, log, log2, sqrt

import pytest

from rerank.train import objectives, writing

pytestmark = pytest.mark.slow  # torch alone takes seconds to import


@pytest.fixture(scope="module")
def torch():
    import torch

    torch.set_num_threads(1)
    return torch


@pytest.fixture(autouse=True)
def exact(torch):
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def softplus(x):
    return log(1 + exp(x))


def close(found, wanted):
    found = found.detach() if hasattr(found, "detach") else found
    assert float(found) == pytest.approx(wanted, abs=1e-6)


@pytest.fixture
def three(torch):
    """Scores 2, 1, 0 of documents whose teacher says 1, 3, 2: places 3, 1, 2."""
    scores = torch.tensor([2.0, 1.0, 0.0], requires_grad=True)
    return scores, torch.tensor([1.0, 3.0, 2.0])


def test_places_are_integers_and_equal_targets_stand_as_they_came(torch):
    assert objectives.places(torch.tensor([0.0, 2.0, 0.0, 1.0])).tolist() == [3, 1, 4, 2]


def test_ranknet_weighs_each_pair_by_its_two_places(three):
    """Pairs (1,0), (1,2), (2,0) at places (1,3), (1,2), (2,3); differences 1, -1, 2."""
    wanted = softplus(1) / 4 + softplus(-1) / 3 + softplus(2) / 5
    close(objectives.ranknet(*three), wanted / 3)


def test_scores_that_tie_in_the_model_lose_no_pair(torch):
    tied = torch.full((3,), 20.0)
    close(
        objectives.ranknet(tied, torch.tensor([3.0, 2.0, 1.0])),
        log(2) * (1 / 3 + 1 / 4 + 1 / 5) / 3,
    )


def test_pairwise_cross_entropy_is_a_mean_over_pairs_that_the_teacher_tells_apart(three, torch):
    close(objectives.pairwise(*three), (softplus(1) + softplus(-1) + softplus(2)) / 3)
    scores = torch.tensor([1.0, 0.0, 5.0])
    close(
        objectives.pairwise(scores, torch.tensor([1.0, 0.0, 1.0])),
        (softplus(-1) + softplus(-5)) / 2,
    )
    close(objectives.pairwise(scores, torch.tensor([1.0, 1.0, 1.0])), 0)


def test_listnet_is_the_cross_entropy_of_two_softmaxes(three):
    whole, wanted = exp(2) + exp(1) + 1, exp(1) + exp(3) + exp(2)
    each = [2 - log(whole), 1 - log(whole), -log(whole)]
    shares = [exp(1) / wanted, exp(3) / wanted, exp(2) / wanted]
    close(objectives.listnet(*three), -sum(p * q for p, q in zip(shares, each, strict=True)))
    sharp = [exp(2) / (wide := exp(2) + exp(6) + exp(4)), exp(6) / wide, exp(4) / wide]
    found = objectives.listnet(*three, temperature=0.5)
    close(found, -sum(p * q for p, q in zip(sharp, each, strict=True)))


def test_lambdarank_weighs_each_pair_by_what_a_swap_changes_in_ndcg(three):
    """Gains 1, 7, 3; the scores put them at discounts 1, 1 / log2(3), 1 / 2."""
    second, third = 1 / log2(3), 0.5
    ideal = 7 + 3 * second + 1 * third
    wanted = softplus(1) * 6 * (1 - second) + softplus(-1) * 4 * (second - third)
    wanted += softplus(2) * 2 * (1 - third)
    found = objectives.lambdarank(*three)
    close(found, wanted / ideal)
    found.backward()
    sigmoid = 1 / (1 + exp(-1))
    slope = -6 * (1 - second) * sigmoid - 4 * (second - third) * (1 - sigmoid)
    assert three[0].grad[1] == pytest.approx(slope / ideal, abs=1e-6)  # the weights have no slope


def test_pointwise_cross_entropy_takes_a_target_above_0_for_relevant(torch):
    scores, targets = torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.0])
    close(objectives.pointwise(scores, targets), (softplus(-2) + softplus(-1)) / 2)
    weights = torch.tensor([0.5, 2.0])
    close(objectives.pointwise(scores, targets, weights), (softplus(-2) / 2 + softplus(-1) * 2) / 2)


def test_margin_mse_compares_margins(three):
    """Margins -1, 1, -2 of the scores against 2, 1, 1 of the teacher's."""
    close(objectives.margin_mse(*three), (9 + 0 + 9) / 3)


def test_a_ranking_is_as_likely_as_plackett_and_luce_have_it(three, torch):
    rankings = torch.tensor([*permutations(range(3))])
    found = objectives.plackett_luce(three[0].double(), rankings)
    close(found.exp().sum(), 1)
    close(found[2], (1 - log(exp(2) + exp(1) + 1)) + (2 - log(exp(2) + 1)))  # 1, 0, 2


def test_ndcg_of_a_ranking_has_exponential_gains(torch):
    targets = torch.tensor([0.0, 1.0, 2.0])
    found = objectives.ndcg(targets, torch.tensor([[2, 1, 0], [0, 1, 2]]), 2)
    ideal = 3 + 1 / log2(3)
    assert found.tolist() == pytest.approx([1, 1 / log2(3) / ideal], abs=1e-6)
    assert objectives.ndcg(targets * 0, torch.tensor([[2, 1, 0]])).tolist() == [0]


def test_the_policy_gradient_of_two_draws_is_worked_out_by_hand(torch):
    """Utilities 1 and u: each draw's baseline is the other, so advantages are 1 - u and u - 1."""
    scores, targets = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    u, better = 1 / log2(3), 0 - log(1 + exp(1))
    found = objectives.policy_gradient(scores, targets, torch.tensor([[0, 1], [1, 0]]))
    close(found, -((1 - u) * better + (u - 1) * (1 + better)) / 2)


def test_the_policy_gradient_is_the_slope_of_the_expected_ndcg(torch):
    """Over many draws, against all six rankings with their probabilities."""
    torch.manual_seed(0)
    targets = torch.tensor([0.0, 2.0, 1.0])
    exact = torch.tensor([1.0, 0.0, 0.5], requires_grad=True)
    every = torch.tensor([*permutations(range(3))])
    utility = objectives.ndcg(targets, every)
    (-(objectives.plackett_luce(exact, every).exp() * utility).sum()).backward()
    scores = exact.detach().clone().requires_grad_()
    rankings = objectives.drawn(scores, 40_000)
    objectives.policy_gradient(scores, targets, rankings).backward()
    assert scores.grad.tolist() == pytest.approx(exact.grad.tolist(), abs=5e-3)


def test_what_is_drawn_is_drawn_as_often_as_it_is_likely(torch):
    torch.manual_seed(0)
    rankings = objectives.drawn(torch.tensor([2.0, 1.0, 0.0]), 20_000)
    assert (rankings[:, 0] == 0).float().mean() == pytest.approx(
        exp(2) / (exp(2) + exp(1) + 1), abs=0.01
    )


def test_a_curriculum_begins_with_what_is_easy_and_ends_with_all_alike(torch):
    first = torch.tensor([7.0, 3.0, 5.0])
    easy = objectives.easiness(first, "reciprocal")
    assert easy.tolist() == pytest.approx([1, 1 / 3, 1 / 2], abs=1e-6)
    assert objectives.easiness(first, "normalised").tolist() == [1, 0, 0.5]
    targets = torch.tensor([0.0, 1.0, 0.0])
    found = objectives.easy_documents(easy, targets)
    assert found.tolist() == pytest.approx([0, 1 / 3, 1 / 2], abs=1e-6)
    pairs = objectives.easy_pairs(easy)
    assert pairs[1].tolist() == pytest.approx([1 / 6, 1 / 2, 5 / 12], abs=1e-6)
    assert objectives.curriculum(easy, 0.25).tolist() == pytest.approx([1, 0.5, 0.625], abs=1e-6)
    assert objectives.curriculum(easy, 3).tolist() == pytest.approx([1, 1, 1], abs=1e-6)


def test_a_duel_is_won_by_the_document_that_the_teacher_puts_first(torch):
    """Targets 2, 1 and 1: the first is above both others; odds 1, -1 shown first, 2, 0 second."""
    odds = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 9.0], [0.0, 9.0, 0.0]])
    found = objectives.duo(odds, torch.tensor([2.0, 1.0, 1.0]))
    close(found, (softplus(-1) + softplus(1) + softplus(2) + softplus(0)) / 4)
    close(objectives.duo(odds, torch.ones(3)), 0)


@pytest.fixture
def written(torch):
    """Three tokens out of two, with probabilities 1/2, 3/4 and 1/4."""
    logits = torch.tensor([[0.0, 0.0], [log(3), 0.0], [log(3), 0.0]])
    return logits, torch.tensor([0, 0, 1])


def test_language_modelling_is_the_mean_surprise(written):
    close(writing.language(*written), (log(2) + log(4 / 3) + log(4)) / 3)


def test_the_importance_aware_loss_weighs_early_ranks_and_divides_by_the_tokens(written, torch):
    """Weights 2, 1 and 1 + 1 / log2(3)."""
    found = writing.importance_aware(*written, torch.tensor([1, 0, 2]))
    close(found, (2 * log(2) + log(4 / 3) + (1 + 1 / log2(3)) * log(4)) / 3)
    late = writing.importance_aware(*written, torch.tensor([10, 100, 0]))
    close(late, ((1 + 1 / log2(11)) * log(2) + (1 + 1 / log2(101)) * log(4 / 3) + log(4)) / 3)


def test_firsts_joint_loss_is_language_modelling_and_ten_times_ranknet(written, three):
    language = (log(2) + log(4 / 3) + log(4)) / 3
    ranknet = (softplus(1) / 4 + softplus(-1) / 3 + softplus(2) / 5) / 3
    close(writing.first(*written, *three), language + 10 * ranknet)
    listnet, lambdarank = (
        float(f(*three).detach()) for f in (objectives.listnet, objectives.lambdarank)
    )
    close(writing.first(*written, *three, "listnet"), language + 0.1 * listnet)
    close(writing.first(*written, *three, "lambdarank"), language + lambdarank)
    close(writing.first(*written, *three, weight=0.0), language)


def begun(tokens):
    return ["".join(tokens[:count]) for count in range(len(tokens) + 1)]


@pytest.mark.parametrize(
    ("tokens", "ranks"),
    [
        (["[", "2", "]", " >", " [", "1", "0", "]", ""], [1, 1, 1, 0, 2, 2, 2, 2, 2]),
        (["[2", "] >", " [10", "]"], [1, 0, 2, 2]),
        (["B", "] > [", "A", "]"], [1, 0, 2, 2]),
        (["[12] > [3", "]"], [2, 2]),
    ],
)
def test_a_tokens_rank_is_its_identifiers_whatever_the_tokenizer(tokens, ranks):
    assert writing.identifier_ranks(begun(tokens)) == ranks


def test_only_a_thought_and_the_best_label_in_brackets_earn_a_reward():
    def reward(reply):
        return writing.setwise_reward(reply, "3")

    assert reward("<think>Three is on topic.</think> <answer>[3]</answer>") == 1
    assert reward("<think>a\nb</think>\n<answer> [3] </answer>") == 1
    for reply in (
        "<answer>[3]</answer>",
        "[3]",
        "<think>x</think> [3]",
        "<think>x<answer>[3]</answer>",
    ):
        assert reward(reply) == 0
    for answer in ("[2]", "[33]", "3", "[3] and [2]", ""):
        assert reward(f"<think>x</think><answer>{answer}</answer>") == 0


def test_the_advantage_of_a_reply_is_among_its_group(torch):
    found = writing.group_advantage(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    deviation = sqrt((0.75**2 + 3 * 0.25**2) / 3) + 1e-4
    assert found[0].tolist() == pytest.approx(
        [0.75 / deviation, *[-0.25 / deviation] * 3], abs=1e-6
    )
    assert found[1].tolist() == [0, 0, 0, 0]


def test_a_reply_that_earned_more_grows_likelier_within_the_clip(torch):
    """Ratios 2 and 1 / 2: above 0 the first is cut to 1.2, below 0 the second to 0.8."""
    before = torch.zeros(2)
    now = torch.tensor([log(2), -log(2)])
    close(writing.clipped(now, before, torch.tensor(1.0)), -(1.2 + 0.5) / 2)
    close(writing.clipped(now, before, torch.tensor(-1.0)), (2 + 0.8) / 2)


def test_grpo_moves_each_token_by_its_replys_advantage(written, torch):
    """Two replies of one token, of probabilities 3/4 and 1/4 at logits (log 3, 0); one is right."""
    logits = [row.clone().requires_grad_() for row in written[0][1:].split(1)]
    rewards = torch.tensor([1.0, 0.0])
    loss = writing.grpo(logits, [torch.tensor([0]), torch.tensor([1])], rewards)
    close(loss, 0)
    loss.backward()
    advantage = 0.5 / (sqrt(0.5) + 1e-4)
    assert logits[0].grad[0].tolist() == pytest.approx([-advantage / 8, advantage / 8], abs=1e-6)
    assert logits[1].grad[0].tolist() == pytest.approx(
        [-advantage * 3 / 8, advantage * 3 / 8], abs=1e-6
    )


def test_no_score_however_large_overflows(torch):
    scores, targets = torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0])
    for loss in objectives.SCORED.values():
        assert float(loss(scores, targets)) < inf
