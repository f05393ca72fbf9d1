"""Makes golden cases: tiny random checkpoints and what transformers computes from them.

    python3 generate.py NAME...     (needs torch and transformers 5.17.0; writes beside itself)

A case is one row of CASES: its class of configuration, and the fields that differ from BASE.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

BASE = dict(
    vocab_size=256,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    initializer_range=0.1,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    tie_word_embeddings=False,
)

CASES = {
    # Dense layers by step and by list, sizes that are no multiple of 8, weights as they are.
    "qwen3-moe-mixed": ("Qwen3MoeConfig", dict(
        num_hidden_layers=6, decoder_sparse_step=2, mlp_only_layers=[3], num_experts=12,
        num_experts_per_tok=3, norm_topk_prob=False, moe_intermediate_size=20, hidden_size=60,
        head_dim=20, attention_bias=True, use_sliding_window=True, sliding_window=11)),
    "mixtral-window": ("MixtralConfig", dict(
        sliding_window=13, num_local_experts=5, num_experts_per_tok=4, intermediate_size=36,
        num_attention_heads=8, num_key_value_heads=4, tie_word_embeddings=True)),
    "minimax-m2-rotary": ("MiniMaxM2Config", dict(
        num_attention_heads=6, num_key_value_heads=3, head_dim=32, partial_rotary_factor=0.75,
        rotary_dim=24, num_local_experts=17, num_experts_per_tok=5, intermediate_size=24)),
    # Groups, two shared experts, two dense layers, norms of heads.
    "glm4-moe-groups": ("Glm4MoeConfig", dict(
        num_hidden_layers=4, first_k_dense_replace=2, n_routed_experts=20, n_group=5, topk_group=2,
        num_experts_per_tok=3, routed_scaling_factor=2.5, n_shared_experts=2, norm_topk_prob=False,
        moe_intermediate_size=24, head_dim=24, use_qk_norm=True, attention_bias=False,
        partial_rotary_factor=0.5)),
}

# Tokens of the inputs, and of the greedy continuation.
LENGTHS = [7, 45]
NUM_GREEDY = 16


def randomize(model, config):
    """Gives every parameter and correction a value that matters."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name.endswith("norm.weight") or "layernorm" in name:
            tensor.data.copy_(1 + 0.2 * torch.randn_like(tensor))
        elif name.endswith("bias"):
            tensor.data.copy_(0.2 * torch.randn_like(tensor))
        elif "inv_freq" not in name:
            tensor.data.copy_(config.initializer_range * torch.randn_like(tensor))


def golden_tensors(model, generator=None):
    """What golden.safetensors holds, and the least distance of a greedy token from the next best."""
    config = model.config
    tensors = {}
    margin = float("inf")
    for n, length in enumerate(LENGTHS):
        ids = torch.randint(3, config.vocab_size, (1, length), generator=generator)
        output = model(ids, output_hidden_states=True, use_cache=False)
        tensors[f"input_ids.{n}"] = ids[0].to(torch.int32)
        tensors[f"logits.{n}"] = output.logits[0].contiguous()
        for layer in range(config.num_hidden_layers):
            tensors[f"hidden.{n}.{layer}"] = output.hidden_states[layer][0].contiguous()
        for _ in range(NUM_GREEDY):
            best = model(ids, use_cache=False).logits[:, -1].topk(2)
            margin = min(margin, float(best.values[0, 0] - best.values[0, 1]))
            ids = torch.cat([ids, best.indices[:, :1]], dim=1)
        tensors[f"greedy.{n}"] = ids[0, length:].to(torch.int32).contiguous()
    return tensors, margin


def generate(name, folder):
    kind, fields = CASES[name]
    config = getattr(transformers, kind)(**{**BASE, **fields})
    torch.manual_seed(sum(map(ord, name)))
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        randomize(model, config)
    shutil.rmtree(folder, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    with torch.no_grad():
        tensors, _ = golden_tensors(model)
    save_file(tensors, str(folder / "golden.safetensors"))
    print(name, json.dumps({k: str(tuple(v.shape)) for k, v in tensors.items() if "logits" in k}))


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        generate(case, pathlib.Path(__file__).parent / case)
