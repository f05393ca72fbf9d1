"""Draws random small checkpoints of every architecture, spelled as hub repositories spell them, and
makes golden cases of them, as generate.py does.

    python3 fuzz.py FOLDER [--count N] [--first N] [--family NAME]...
    python3 fuzz.py FOLDER NAME-NUMBER...     (single cases again)

A case's name decides it: `qwen3_moe-17` is the same case wherever and whenever it is drawn. Needs torch
and transformers 5.17.0. Run what comes out with `deno task verify --golden FOLDER`.
"""

import argparse
import json
import math
import pathlib
import random
import shutil
import warnings

import torch
import transformers
from safetensors.torch import load_file, save_file

import generate

SLIDING, FULL, LINEAR = "sliding_attention", "full_attention", "linear_attention"

# The greedy continuation must hang on no rounding, nor the choice of an expert.
LEAST_MARGIN = 2e-3
MOST_DRIFT = 3e-4


class Draw(random.Random):
    """Chance with the words that tables of fields need."""

    def likely(self, share):
        return self.random() < share

    def some(self, **fields):
        """Each field or not: what is left out has a default in transformers."""
        return {name: value for name, value in fields.items() if self.likely(0.6)}


def heads(r, hidden_choices=(48, 64, 96, 160, 40, 36, 50), divides=False):
    """Heads and hidden size; some classes insist that one divides the other."""
    num_kv = r.choice([1, 1, 2, 2, 3, 4])
    num_heads = num_kv * r.choice([1, 2, 3, 4, 5, 6, 8] if num_kv < 3 else [1, 2, 3])
    hidden = r.choice(hidden_choices)
    if divides:
        hidden = num_heads * max(2, round(hidden / num_heads / 2) * 2)
    return num_heads, num_kv, hidden


def head_dim(r):
    return r.choice([8, 16, 20, 24, 32, 64, 80, 10, 18])


def common(r, model_type, divides=False):
    num_heads, num_kv, hidden = heads(r, divides=divides)
    config = dict(
        model_type=model_type,
        vocab_size=r.choice([131, 257, 128, 200, 515]),
        hidden_size=hidden,
        intermediate_size=r.choice([25, 33, 40, 50, 72, 96, 130]),
        num_hidden_layers=r.choice([2, 3, 3, 4]),
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv,
        bos_token_id=r.choice([None, 1, 0]),
        eos_token_id=r.choice([None, 2, [2, 3]]),
        **r.some(
            rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]),
            max_position_embeddings=r.choice([64, 100, 512, 4096]),
            tie_word_embeddings=r.likely(0.4),
            use_cache=r.likely(0.5),
            attention_dropout=0.0,
            initializer_range=0.02,
            torch_dtype="bfloat16",
            transformers_version=r.choice(["4.40.1", "5.17.0"]),
        ),
    )
    if r.likely(0.8):
        config["hidden_act"] = "silu"
    return config


def dense_activation(r, config):
    if r.likely(0.25):
        config["hidden_act"] = r.choice(["swish", "gelu_pytorch_tanh", "gelu_new"])


def scaling(r, config):
    """One kind of scaling by the names within `rope_scaling`, `rope_type` but for the type."""
    kind = r.choice(["default", "linear", "dynamic", "llama3", "yarn", "yarn", "yarn"])
    if kind == "default":
        return {"rope_type": kind}
    found = {"rope_type": kind, "factor": r.choice([1.0, 1.5, 2, 4.0, 8.0, 40])}
    if kind == "llama3":
        found["low_freq_factor"] = r.choice([1, 1.0, 0.5])
        found["high_freq_factor"] = r.choice([4.0, 8])
        found["original_max_position_embeddings"] = r.choice([16, 32, 64])
    if kind == "yarn":
        found |= r.some(
            beta_fast=r.choice([32, 16.0, 8]), beta_slow=r.choice([1, 2.0]),
            truncate=r.likely(0.5))
        if r.likely(0.5):
            found["mscale"] = r.choice([0.707, 1, 1.0, 0.5, 0])
            found["mscale_all_dim"] = r.choice([0.707, 1.0, 1, 0.3, 0])
        if r.likely(0.2):
            found["attention_factor"] = r.choice([1.0, 0.8, 1.25])
        place = r.choice([found, found, config, {}])
        place["original_max_position_embeddings"] = r.choice([16, 32, 64])
    return found


def rope(r, config, partial=None):
    """Adds the rope in the spelling of one time or another; `partial` is the share that turns."""
    parameters = scaling(r, config) if r.likely(0.6) else {"rope_type": "default"}
    theta = r.choice([10000.0, 500000, 1e6, 250.5])
    if r.likely(0.55):
        if r.likely(0.85):
            config["rope_theta"] = theta
        if partial is not None:
            config["partial_rotary_factor"] = partial
        if parameters["rope_type"] != "default":
            if r.likely(0.5):
                parameters["type"] = parameters["rope_type"]
                if r.likely(0.6):
                    del parameters["rope_type"]
            config["rope_scaling"] = parameters
        elif r.likely(0.6):
            config["rope_scaling"] = None
    else:
        config["rope_parameters"] = parameters
        if r.likely(0.8):
            parameters["rope_theta"] = theta
        elif r.likely(0.5):
            config["rope_theta"] = theta
        if partial is not None:
            r.choice([config, parameters])["partial_rotary_factor"] = partial


def own_head_dim(r, config, share=0.6):
    """Where the class shares the hidden size among the heads, or the file says otherwise."""
    shared = config["hidden_size"] // config["num_attention_heads"]
    if r.likely(share) or shared % 2 or shared < 4:
        config["head_dim"] = head_dim(r)
    elif r.likely(0.3):
        config["head_dim"] = None


def llama(r):
    config = common(r, "llama", divides=True)
    own_head_dim(r, config)
    dense_activation(r, config)
    config |= r.some(attention_bias=r.likely(0.4), mlp_bias=r.likely(0.4), pretraining_tp=1)
    rope(r, config)
    return config


def mistral(r):
    config = common(r, "mistral")
    own_head_dim(r, config)
    dense_activation(r, config)
    config |= r.some(sliding_window=r.choice([None, 5, 16, 33]))
    rope(r, config)
    return config


def qwen_windows(r, config):
    if r.likely(0.7):
        config["use_sliding_window"] = r.likely(0.7)
    config |= r.some(sliding_window=r.choice([4, 16, 31]), max_window_layers=r.choice([0, 1, 2, 28]))
    if r.likely(0.3):
        slides = config.get("use_sliding_window", False)
        kinds = [SLIDING, FULL] if slides else [FULL]
        config["layer_types"] = [r.choice(kinds) for _ in range(config["num_hidden_layers"])]


def qwen2(r):
    config = common(r, "qwen2")
    shared = config["hidden_size"] // config["num_attention_heads"]
    if shared % 2 or shared < 4:
        config["hidden_size"] = config["num_attention_heads"] * r.choice([6, 8, 12, 16])
    dense_activation(r, config)
    qwen_windows(r, config)
    rope(r, config)
    return config


def qwen3(r):
    config = common(r, "qwen3")
    if r.likely(0.9):
        config["head_dim"] = head_dim(r)
    dense_activation(r, config)
    config |= r.some(attention_bias=r.likely(0.5))
    qwen_windows(r, config)
    rope(r, config)
    return config


def num_experts(r):
    count = r.choice([3, 6, 8, 17, 60])
    return count, r.choice([1, 2, min(count, 5), min(count, 8), min(count, 20)])


def grouped(r):
    """Experts, how many a token takes, groups and how many of them."""
    num_groups = r.choice([1, 2, 3, 4, 5])
    size = r.choice([2, 3, 4, 7])
    best = r.randint(1, num_groups)
    return num_groups * size, r.randint(1, min(best * size, 12)), num_groups, best


def qwen3_moe(r):
    config = common(r, "qwen3_moe")
    own_head_dim(r, config, 0.8)
    count, chosen = num_experts(r)
    config |= dict(
        num_experts=count, num_experts_per_tok=chosen, moe_intermediate_size=r.choice([7, 20, 24, 33]),
        **r.some(
            norm_topk_prob=r.likely(0.5), decoder_sparse_step=r.choice([1, 1, 2]),
            mlp_only_layers=r.choice([[], [0], [1]]), attention_bias=r.likely(0.4),
            router_aux_loss_coef=0.001, output_router_logits=False, max_window_layers=1,
            use_sliding_window=r.likely(0.4), sliding_window=r.choice([7, 20])))
    rope(r, config)
    return config


def qwen3_next(r):
    config = common(r, "qwen3_next")
    config["head_dim"] = r.choice([8, 16, 20, 24, 32, 64, 80])
    count, chosen = num_experts(r)
    num_keys = r.choice([1, 2, 3])
    layers = config["num_hidden_layers"]
    config |= dict(
        num_experts=count, num_experts_per_tok=chosen, moe_intermediate_size=r.choice([7, 20, 24]),
        shared_expert_intermediate_size=r.choice([9, 20, 40]),
        linear_num_key_heads=num_keys, linear_num_value_heads=num_keys * r.choice([1, 2, 3, 4]),
        linear_key_head_dim=r.choice([8, 16, 20, 33]), linear_value_head_dim=r.choice([8, 12, 24, 33]),
        linear_conv_kernel_dim=r.choice([2, 3, 4]),
        **r.some(
            norm_topk_prob=r.likely(0.5), decoder_sparse_step=r.choice([1, 1, 2]),
            mlp_only_layers=r.choice([[], [0], [1]]), attention_bias=r.likely(0.3)))
    spelling = r.choice(["types", "interval", "none"])
    if spelling == "types":
        config["layer_types"] = [r.choice([LINEAR, LINEAR, FULL]) for _ in range(layers)]
    elif spelling == "interval":
        config["full_attention_interval"] = r.choice([1, 2, 3])
    dim = config["head_dim"]
    shares = [share for share in (0.25, 0.5, 0.75, 1.0) if dim * share % 2 == 0 and dim * share >= 2]
    share = r.choice(shares)
    rope(r, config, None if 0.25 in shares and r.likely(0.3) else share)
    return config


def mixtral(r):
    config = common(r, "mixtral")
    own_head_dim(r, config)
    count, chosen = num_experts(r)
    config |= dict(
        num_local_experts=count, num_experts_per_tok=chosen,
        **r.some(sliding_window=r.choice([None, 6, 19]), router_jitter_noise=0.0))
    rope(r, config)
    return config


def minimax_m2(r):
    config = common(r, "minimax_m2")
    dim = config["head_dim"] = r.choice([8, 16, 20, 24, 32, 64])
    count, chosen = num_experts(r)
    config |= dict(
        num_local_experts=count, num_experts_per_tok=chosen,
        **r.some(
            use_qk_norm=True, scoring_func="sigmoid", use_routing_bias=True, qk_norm_type="per_layer",
            attn_type_list=[1] * config["num_hidden_layers"], shared_intermediate_size=0,
            num_mtp_modules=3, mtp_transformer_layers=1))
    share = r.choice([share for share in (0.25, 0.5, 0.75, 1.0) if dim * share % 2 == 0])
    if r.likely(0.6):
        config["rotary_dim"] = int(dim * share)
    rope(r, config, share)
    return config


def glm4_moe(r):
    config = common(r, "glm4_moe")
    dim = config["head_dim"] = head_dim(r)
    count, chosen, num_groups, best = grouped(r)
    config |= dict(
        n_routed_experts=count, num_experts_per_tok=chosen, n_group=num_groups, topk_group=best,
        moe_intermediate_size=r.choice([7, 20, 24, 33]), n_shared_experts=r.choice([0, 1, 2, 3]),
        **r.some(
            first_k_dense_replace=r.choice([0, 1, 2, 5]), norm_topk_prob=r.likely(0.5),
            routed_scaling_factor=r.choice([1.0, 2.5]), use_qk_norm=r.likely(0.5),
            attention_bias=r.likely(0.5), num_nextn_predict_layers=1))
    shares = [share for share in (0.25, 0.5, 0.75, 1.0) if int(dim * share) % 2 == 0]
    rope(r, config, None if 0.5 in shares and r.likely(0.3) else r.choice(shares))
    return config


def latent(r, config):
    config["num_key_value_heads"] = config["num_attention_heads"]
    config |= dict(
        q_lora_rank=r.choice([None, 20, 33, 48]), kv_lora_rank=r.choice([16, 20, 33, 50, 64]),
        qk_nope_head_dim=r.choice([8, 15, 20, 32]), qk_rope_head_dim=r.choice([4, 6, 8, 10, 16, 32]),
        v_head_dim=r.choice([8, 13, 24, 40]),
        **r.some(attention_bias=r.likely(0.4), moe_layer_freq=1, ep_size=1, seq_aux=True))


def deepseek_v2(r):
    config = common(r, "deepseek_v2", divides=True)
    latent(r, config)
    # transformers turns neighbours as complex numbers, which must not begin at odd elements.
    config["kv_lora_rank"] += config["kv_lora_rank"] % 2
    config["qk_nope_head_dim"] += config["qk_nope_head_dim"] % 2
    count, chosen, num_groups, best = grouped(r)
    config |= dict(
        n_routed_experts=count, num_experts_per_tok=chosen,
        moe_intermediate_size=r.choice([7, 20, 24]), n_shared_experts=r.choice([0, 1, 2, 3]),
        **r.some(
            first_k_dense_replace=r.choice([0, 1, 2, 9]), norm_topk_prob=r.likely(0.5),
            routed_scaling_factor=r.choice([1.0, 16.0, 1.7]), scoring_func="softmax",
            mlp_bias=r.likely(0.3)))
    if r.likely(0.5):
        config |= dict(topk_method="group_limited_greedy", n_group=num_groups, topk_group=best)
    elif r.likely(0.6):
        config |= dict(topk_method="greedy", n_group=r.choice([None, 1]), topk_group=r.choice([None, 1]))
    rope(r, config)
    return config


def deepseek_v3(r):
    config = common(r, "deepseek_v3")
    latent(r, config)
    count, chosen, num_groups, best = grouped(r)
    config |= dict(
        n_routed_experts=count, num_experts_per_tok=chosen, n_group=num_groups, topk_group=best,
        moe_intermediate_size=r.choice([7, 20, 24]), n_shared_experts=r.choice([0, 1, 2, 3]),
        **r.some(
            first_k_dense_replace=r.choice([0, 1, 2, 9]), norm_topk_prob=r.likely(0.5),
            routed_scaling_factor=r.choice([1.0, 2.5]), scoring_func="sigmoid",
            topk_method="noaux_tc", rope_interleave=r.likely(0.5), num_nextn_predict_layers=1))
    rope(r, config)
    return config


def gpt_oss(r):
    config = common(r, "gpt_oss")
    if r.likely(0.9):
        config["head_dim"] = head_dim(r)
    count, chosen = num_experts(r)
    config |= dict(
        num_local_experts=count, num_experts_per_tok=chosen,
        **r.some(
            experts_per_token=chosen, attention_bias=r.likely(0.8), swiglu_limit=7.0,
            sliding_window=r.choice([3, 16, 40]), initial_context_length=4096))
    if r.likely(0.5):
        config["layer_types"] = [r.choice([SLIDING, FULL]) for _ in range(config["num_hidden_layers"])]
    if r.likely(0.8):
        rope(r, config)
    return config


def gemma3_text(r):
    config = common(r, "gemma3_text", divides=True)
    config["head_dim"] = head_dim(r)
    config.pop("hidden_act", None)
    config |= r.some(
        hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=r.choice([8, 24, 168]),
        final_logit_softcapping=r.choice([None, 6.0, 30.0]), attn_logit_softcapping=r.choice([None, 20.0]),
        sliding_window=r.choice([4, 17]), attention_bias=r.likely(0.3),
        use_bidirectional_attention=False)
    spelling = r.choice(["types", "pattern", "hidden pattern", "none"])
    if spelling == "types":
        config["layer_types"] = [r.choice([SLIDING, FULL]) for _ in range(config["num_hidden_layers"])]
    elif spelling == "pattern":
        config["sliding_window_pattern"] = r.choice([1, 2, 3])
    elif spelling == "hidden pattern":
        config["_sliding_window_pattern"] = 6
    if r.likely(0.5):
        config |= r.some(rope_theta=r.choice([1e6, 20000]), rope_local_base_freq=r.choice([10000, 300.0]))
        if r.likely(0.6):
            config["rope_scaling"] = r.choice([None, {"factor": 8.0, "rope_type": "linear"}])
    elif r.likely(0.8):
        full, sliding = scaling(r, {}), {"rope_type": "default"}
        full.pop("truncate", None)
        full |= r.some(rope_theta=70000.0)
        sliding |= r.some(rope_theta=500.0)
        config["rope_parameters"] = {FULL: full, SLIDING: sliding}
    return config


def gemma3(r):
    """The text part within a model of images, as the first or the later releases name its tensors."""
    text = gemma3_text(r)
    outer = {"model_type": "gemma3", "text_config": text,
             "vision_config": {"model_type": "siglip_vision_model"}}
    if r.likely(0.5):
        outer["eos_token_id"] = [1, 106]
    tied = text.pop("tie_word_embeddings", None)
    if tied is not None:
        outer["tie_word_embeddings"] = tied
    if r.likely(0.5):
        text.pop("bos_token_id")
    return outer


FAMILIES = {
    family.__name__: family
    for family in (llama, mistral, qwen2, qwen3, qwen3_moe, qwen3_next, mixtral, minimax_m2, glm4_moe,
                   deepseek_v2, deepseek_v3, gpt_oss, gemma3_text, gemma3)
}


def randomize(model, generator):
    """Values that keep the size of what flows through; every bias, norm and sink matters."""
    is_offset = model.config.model_type in ("gemma3_text", "qwen3_next")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if "inv_freq" in name or name.endswith("embed_scale"):
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("A_log"):
            values = torch.rand(tensor.shape, generator=generator) * 6 - 3.5
        elif "norm" in name:
            values = 0.2 * noise + (0 if is_offset and "linear_attn" not in name else 1)
        elif "conv1d" in name:
            values = 0.6 * noise
        elif name.endswith("sinks"):
            values = 2 * noise
        elif tensor.dim() == 1 or name.endswith("bias"):
            values = 0.2 * noise
        elif "embed_tokens" in name:
            values = noise * (0.3 if model.config.tie_word_embeddings else 1)
        else:
            inputs = tensor.shape[-2] if "gpt_oss" in model.config.model_type and tensor.dim() == 3 \
                else tensor.shape[-1]
            values = noise / math.sqrt(max(1, inputs))
        tensor.data.copy_(values)


def store(r, folder, text_config):
    """Casts what save_pretrained wrote, and lays it out as some repository does."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    dtype = r.choice([torch.bfloat16] * 3 + [torch.float16, torch.float32])
    has_wide_vectors = r.likely(0.3)
    for name, tensor in tensors.items():
        is_wide = has_wide_vectors and tensor.dim() == 1
        tensors[name] = tensor.to(torch.float32 if is_wide else dtype).contiguous()
    if r.likely(0.2):
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
        extra = f"model.layers.{text_config['num_hidden_layers']}.eh_proj.weight"
        tensors[extra] = torch.ones(4, 8, dtype=dtype)
    return tensors, r.likely(0.2)


def write(folder, tensors, is_split):
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    if not is_split:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(tensors)
    middle = len(names) // 2
    weight_map = {}
    for n, part in enumerate([names[:middle], names[middle:]], 1):
        file = f"model-0000{n}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= {name: file for name in part}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def renamed(r, tensors):
    """Names of a text part within a model of images."""
    if r.likely(0.5):
        return {"language_model." + name: tensor for name, tensor in tensors.items()}
    later = {}
    for name, tensor in tensors.items():
        later[name.replace("model.", "model.language_model.", 1)
              if name.startswith("model.") else name] = tensor
    return later


def drift(model, ids, logits):
    """How much the logits change with every rounding: what no choice between experts survives."""
    found = model.double()(ids, use_cache=False).logits[0].float()
    model.float()
    return float((found - logits).abs().max())


def make(name, root):
    family, number = name.rsplit("-", 1)
    r = Draw(name)
    config = FAMILIES[family](r)
    folder = root / name
    text = dict(config.get("text_config", config))
    if family == "gemma3" and "tie_word_embeddings" in config:
        text["tie_word_embeddings"] = config["tie_word_embeddings"]
    for attempt in range(8):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(text))
        generator = torch.Generator().manual_seed(int(number) * 100 + attempt)
        parsed = transformers.AutoConfig.from_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_config(parsed, dtype=torch.float32)
        with torch.no_grad():
            randomize(model, generator)
        model.save_pretrained(folder)
        layout = Draw(name + "/layout")
        tensors, is_split = store(layout, folder, text)
        (folder / "config.json").write_text(json.dumps(text))
        (folder / "generation_config.json").unlink(missing_ok=True)
        write(folder, tensors, False)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager",
            experts_implementation="eager").eval()
        with torch.no_grad():
            golden, margin = generate.golden_tensors(model, generator)
            moved = max(drift(model, golden[f"input_ids.{n}"][None].long(), golden[f"logits.{n}"])
                        for n in (0, 1))
        if margin > LEAST_MARGIN and moved < MOST_DRIFT:
            break
    write(folder, renamed(layout, tensors) if family == "gemma3" else tensors, is_split)
    save_file(golden, folder / "golden.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    largest = max(float(golden[f"logits.{n}"].abs().max()) for n in (0, 1))
    print(f"{name}: attempt {attempt}, margin {margin:.4f}, drift {moved:.1e}, largest {largest:.1f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--family", action="append", choices=FAMILIES)
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.count)
    cases = options.cases or [
        f"{family}-{n}" for family in options.family or FAMILIES for n in numbers]
    for case in cases:
        try:
            make(case, options.folder)
        except Exception as error:
            shutil.rmtree(options.folder / case, ignore_errors=True)
            print(f"{case}: transformers refuses it: {type(error).__name__}: {str(error)[:200]}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    main()
