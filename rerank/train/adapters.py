"""Low-rank adapters: a model keeps its weights and learns a small sum beside them.

LoRA: Hu et al. 2021, arXiv:2106.09685: W x + (alpha / rank) B A x, with B = 0 at the start, so a
training begins at the model as it is. What is saved is the sum, a model like any other. The one
module that knows peft.
"""

from rerank.engines.models.checkpoints import Loaded
from rerank.errors import extra
from rerank.train.recipes import LoraOptions
from rerank.train.weights import HEADS


def adapt(loaded: Loaded, options: LoraOptions) -> None:
    """Freeze a model but for its head, if that scores, and give its linear layers adapters."""
    library = extra("peft", "train")
    heads = [name for name, _ in loaded.model.named_children() if f"{name}." in HEADS]
    config = library.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=list(options.layers) or "all-linear",
        modules_to_save=heads or None,
    )
    loaded.model = library.get_peft_model(loaded.model, config).eval()


def merge(loaded: Loaded) -> None:
    """Add what was learnt to the weights."""
    loaded.model = loaded.model.merge_and_unload()
