"""Control tokens of common models: no text of a document or a query may hold one."""

CONTROL = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|begin_of_text|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<start_of_turn>", "<end_of_turn>"),
    *("[INST]", "[/INST]", "<s>", "</s>", "<think>", "</think>", "<answer>", "</answer>"),
)
