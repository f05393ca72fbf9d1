"""Makes golden cases of Qwen3-Next, like generate.py, and rewrites config.json as other tools spell it.

    python3 generate_qwen3_next.py NAME...
"""

import json
import math
import pathlib
import sys

import torch

import generate as golden

LINEAR = "linear_attention"
FULL = "full_attention"

golden.CASES = {
    # Dense layers by step and by list, three value heads a key head.
    "qwen3-next-mixed": ("Qwen3NextConfig", dict(
        num_hidden_layers=5, num_attention_heads=6, num_key_value_heads=2,
        head_dim=24, partial_rotary_factor=0.5, attention_bias=True,
        layer_types=[LINEAR, FULL, LINEAR, FULL, LINEAR], linear_conv_kernel_dim=3,
        linear_num_key_heads=2, linear_num_value_heads=6, linear_key_head_dim=20,
        linear_value_head_dim=12, decoder_sparse_step=2, mlp_only_layers=[3], num_experts=5,
        num_experts_per_tok=3, norm_topk_prob=False, moe_intermediate_size=24,
        shared_expert_intermediate_size=40, tie_word_embeddings=True)),
    # No experts, values wider than keys, full attention first.
    "qwen3-next-dense": ("Qwen3NextConfig", dict(
        num_hidden_layers=3, head_dim=16, num_experts=0, layer_types=[FULL, LINEAR, LINEAR],
        linear_conv_kernel_dim=6, linear_num_key_heads=3, linear_num_value_heads=3,
        linear_key_head_dim=8, linear_value_head_dim=24)),
}

# Fields of config.json that the named case leaves out, and those that it has in their place.
SPELLINGS = {
    "qwen3-next-mixed": (["layer_types"], dict(full_attention_interval=2)),
    "qwen3-next-dense": (
        ["rope_parameters"], dict(rope_theta=50000.0, rope_scaling=None)),
}


def randomize(model, config):
    for name, tensor in model.named_parameters():
        noise = torch.randn_like(tensor)
        if name.endswith("A_log"):
            tensor.data.uniform_(math.log(0.02), math.log(12))
        elif "conv1d" in name:
            tensor.data.copy_(0.6 * noise)
        elif name.endswith("linear_attn.norm.weight"):
            tensor.data.copy_(1 + 0.2 * noise)
        elif "norm" in name or name.endswith("bias"):
            tensor.data.copy_(0.2 * noise)
        else:
            tensor.data.copy_(config.initializer_range * noise)


golden.randomize = randomize

if __name__ == "__main__":
    for case in sys.argv[1:] or golden.CASES:
        folder = pathlib.Path(__file__).parent / case
        removed, added = SPELLINGS[case]
        if "rope_theta" in added:
            golden.CASES[case][1]["rope_parameters"] = dict(
                rope_type="default", rope_theta=added["rope_theta"], partial_rotary_factor=0.25)
        golden.generate(case, folder)
        path = folder / "config.json"
        config = {k: v for k, v in json.loads(path.read_text()).items() if k not in removed}
        path.write_text(json.dumps({**config, **added}, indent=1) + "\n")
