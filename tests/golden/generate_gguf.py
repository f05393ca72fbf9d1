"""Makes golden cases that are GGUF files: what transformers computes from the values in them.

    python3 generate_gguf.py NAME...     (as generate.py; needs PyPI's gguf, too)

Names of tensors and metadata are those of the gguf package; the rest is what llama.cpp's
convert_hf_to_gguf.py does: it stacks experts, permutes q and k of the llama family so that pairs that
turn are neighbours, and adds 1 to Gemma's norms.
"""

import pathlib
import re
import shutil
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file

import fuzz
import generate

Q8_0, F16, F32 = (gguf.GGMLQuantizationType[name] for name in ("Q8_0", "F16", "F32"))
SLIDING, FULL = fuzz.SLIDING, fuzz.FULL

BASE = dict(vocab_size=131, hidden_size=64, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
            bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)

CASES = {
    "mixtral-gguf": (gguf.MODEL_ARCH.LLAMA, F16, "MixtralConfig", dict(
        num_local_experts=5, num_experts_per_tok=2)),
    "qwen3-moe-gguf": (gguf.MODEL_ARCH.QWEN3MOE, Q8_0, "Qwen3MoeConfig", dict(
        num_experts=6, num_experts_per_tok=3, moe_intermediate_size=32, norm_topk_prob=True)),
    "gemma3-gguf": (gguf.MODEL_ARCH.GEMMA3, Q8_0, "Gemma3TextConfig", dict(
        num_hidden_layers=7, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
        query_pre_attn_scalar=32, sliding_window=8,
        tie_word_embeddings=True, rope_parameters={
            FULL: dict(rope_type="linear", factor=8.0, rope_theta=1e6),
            SLIDING: dict(rope_type="default", rope_theta=10000.0)})),
}

# What tensor_mapping.py calls the stacked experts.
STACKED = [
    (r"model\.layers\.(\d+)\.block_sparse_moe\.experts\.(\d+)\.(w[123])\.weight",
     r"layers.\1.feed_forward.experts.\3"),
    (r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight", r"model.layers.\1.mlp.experts.\3"),
]


def converted(name, values, config, arch):
    if arch == gguf.MODEL_ARCH.LLAMA and re.search(r"[qk]_proj\.weight", name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        rows = values.reshape(heads, 2, len(values) // heads // 2, values.shape[1])
        return rows.swapaxes(1, 2).reshape(values.shape)
    if arch == gguf.MODEL_ARCH.GEMMA3 and name.endswith("norm.weight"):
        return values + 1
    return values


def metadata(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    rope = rope.get(FULL, rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if getattr(config, "num_local_experts", 0):
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if hasattr(config, "moe_intermediate_size"):
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)


def write(path, tensors, config, arch, quantised):
    """Writes the file; returns the values that it holds, under their names in `tensors`."""
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    metadata(writer, config)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    stored, stacks = {}, {}
    for name, tensor in tensors.items():
        values = tensor.float().numpy()
        kind = quantised if values.ndim == 2 else F32
        data = quantize(converted(name, values, config, arch), kind)
        # Rows move whole, so that a permutation changes no block.
        stored[name] = torch.from_numpy(dequantize(quantize(values, kind), kind).copy())
        for pattern, stack in STACKED:
            if re.fullmatch(pattern, name):
                stacks.setdefault(re.sub(pattern, stack, name), []).append(
                    (int(re.fullmatch(pattern, name)[2]), data))
                break
        else:
            writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), data, raw_dtype=kind)
    for name, experts in stacks.items():
        data = np.stack([data for _, data in sorted(experts, key=lambda pair: pair[0])])
        writer.add_tensor(names.get_name(name) + ".weight", data, raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


def make(name, folder):
    arch, quantised, kind, fields = CASES[name]
    config = getattr(transformers, kind)(**{**BASE, **fields})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.no_grad(), tempfile.TemporaryDirectory() as hub:
            fuzz.randomize(model, generator)
            model.save_pretrained(hub)
            path = pathlib.Path(hub) / "model.safetensors"
            stored = write(folder / "model.gguf", load_file(path), config, arch, quantised)
            save_file(stored, path, metadata={"format": "pt"})
            model = transformers.AutoModelForCausalLM.from_pretrained(
                hub, dtype=torch.float32, attn_implementation="eager",
                experts_implementation="eager").eval()
            golden, margin = generate.golden_tensors(model, generator)
        if margin > 0.01:
            break
    save_file(golden, folder / "golden.safetensors")
    print(f"{name}: seed {seed}, margin {margin:.4f}")


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case, pathlib.Path(__file__).parent / case)
