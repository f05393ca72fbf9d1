"""Makes the golden cases of DeepSeek beside those of generate.py.

    python3 generate_deepseek.py NAME...     (as generate.py)
"""

import pathlib
import sys

import generate

YARN = dict(rope_type="yarn", rope_theta=5000.0, factor=4.0, original_max_position_embeddings=32,
            beta_fast=16, beta_slow=2, mscale=0.707, mscale_all_dim=0.5)

generate.BASE.update(num_attention_heads=5, num_key_value_heads=5, hidden_size=60)
generate.CASES = {
    # Queries by way of a latent, the best groups, yarn with two mscales, biases everywhere.
    "deepseek-v2-groups": ("DeepseekV2Config", dict(
        q_lora_rank=28, kv_lora_rank=36, qk_nope_head_dim=20, qk_rope_head_dim=12, v_head_dim=24,
        first_k_dense_replace=1, mlp_bias=True, n_routed_experts=12, n_shared_experts=1,
        num_experts_per_tok=3,
        n_group=4, topk_group=2, topk_method="group_limited_greedy", norm_topk_prob=True,
        routed_scaling_factor=1.7, moe_intermediate_size=28, attention_bias=True,
        rope_parameters=YARN)),
    # Rope of halves, queries from the hidden states, weights as they are, tied, wider values.
    "deepseek-v3-halves": ("DeepseekV3Config", dict(
        num_hidden_layers=4, q_lora_rank=None, kv_lora_rank=52, qk_nope_head_dim=12,
        qk_rope_head_dim=20, v_head_dim=28, first_k_dense_replace=2, n_routed_experts=18,
        n_shared_experts=3, num_experts_per_tok=5, n_group=6, topk_group=3, norm_topk_prob=False,
        routed_scaling_factor=0.8, moe_intermediate_size=20, rope_interleave=False,
        attention_bias=True, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=20000.0, factor=2.0))),
}


if __name__ == "__main__":
    for case in sys.argv[1:] or generate.CASES:
        generate.generate(case, pathlib.Path(__file__).parent / case)
