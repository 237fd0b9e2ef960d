"""Writes tests/fixtures/gguf: tiny models as GGUF, and blocks of every type with their values, by the package `gguf`.

    pip install gguf numpy safetensors tokenizers
    python3 tests/python/gguf_fixtures.py

The models are those of tests/fixtures/NAME; what llama.cpp's converter (convert_hf_to_gguf.py) does to names, rows and values
is done here by the tables of the package and by hand. `NAME.gguf` holds the same numbers as NAME/model.safetensors.
"""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
OUT = FIXTURES / "gguf"

ARCHS = {
    "llama": (gguf.MODEL_ARCH.LLAMA, "llama"),
    "qwen2": (gguf.MODEL_ARCH.QWEN2, "qwen2"),
    "qwen3": (gguf.MODEL_ARCH.QWEN3, "qwen3"),
    "smollm3": (gguf.MODEL_ARCH.SMOLLM3, "smollm3"),
    "phi3": (gguf.MODEL_ARCH.PHI3, "phi3"),
    "olmo2": (gguf.MODEL_ARCH.OLMO2, "olmo2"),
    "gemma3_text": (gguf.MODEL_ARCH.GEMMA3, "gemma3"),
    "gpt2": (gguf.MODEL_ARCH.GPT2, "gpt2"),
    "gpt_neox": (gguf.MODEL_ARCH.GPTNEOX, "gptneox"),
}


def permuted(rows, heads):
    """As `LlamaModel.permute` of the converter."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def llama3_factors(rope, head_dim):
    """As the converter's `rope_freqs`."""
    base, factor = rope["rope_theta"], rope["factor"]
    low, high, original = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    found = []
    for frequency in 1.0 / base ** (np.arange(0, head_dim, 2, dtype=np.float64) / head_dim):
        wavelength = 2 * np.pi / frequency
        if wavelength < original / high:
            found.append(1.0)
        elif wavelength > original / low:
            found.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(found, dtype=np.float32)


def stored(writer, name, values, quant):
    if quant == gguf.GGMLQuantizationType.F32 or values.ndim == 1:
        writer.add_tensor(name, values.astype(np.float32))
    elif values.shape[-1] % gguf.GGML_QUANT_SIZES[quant][0]:
        # As the quantizer of llama.cpp: what has no whole blocks is stored otherwise.
        writer.add_tensor(name, values.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(values.astype(np.float32), quant), raw_dtype=quant)


def model(name, out, quant=gguf.GGMLQuantizationType.F32, vocabulary=None):
    config = json.loads((FIXTURES / name / "config.json").read_text())
    kind = config["model_type"]
    arch, label = ARCHS[kind]
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    hidden = config.get("hidden_size", config.get("n_embd"))
    heads = config.get("num_attention_heads", config.get("n_head"))
    shared = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or hidden // heads
    writer = gguf.GGUFWriter(OUT / out, label)
    writer.add_context_length(config.get("max_position_embeddings", config.get("n_positions")))
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config.get("intermediate_size") or config.get("n_inner") or 4 * hidden)
    writer.add_head_count(heads)
    if kind == "gpt2":
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    elif kind == "gpt_neox":
        writer.add_rope_dimension_count(int(config["rope_parameters"]["partial_rotary_factor"] * head_dim))
        writer.add_parallel_residual(config["use_parallel_residual"])
        writer.add_layer_norm_eps(config["layer_norm_eps"])
    else:
        writer.add_head_count_kv(shared)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        writer.add_rope_dimension_count(head_dim)
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        rope = config["rope_parameters"]
        rope = rope.get("full_attention", rope)
        writer.add_rope_freq_base(rope["rope_theta"])
        if rope["rope_type"] == "llama3":
            writer.add_tensor("rope_freqs.weight", llama3_factors(rope, head_dim))
    if kind == "gemma3_text":
        writer.add_sliding_window(config["sliding_window"])
        writer.add_uint32("gemma3.attention.sliding_window_pattern", 3)
    if vocabulary:
        vocabulary(writer)
    names = gguf.get_tensor_name_map(arch, layers)
    for key, values in sorted(load_file(FIXTURES / name / "model.safetensors").items()):
        if key.endswith((".attn.bias", ".attn.masked_bias")) or (key == "lm_head.weight" and config.get("tie_word_embeddings", kind == "gpt2")):
            continue
        if kind == "gpt2" and not key.startswith(("transformer.", "lm_head")):
            key = f"transformer.{key}"
        found = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert found, key
        if kind in ("llama", "smollm3") and ".q_proj." in key:
            values = permuted(values, heads)
        if kind in ("llama", "smollm3") and ".k_proj." in key:
            values = permuted(values, shared)
        if kind == "gpt_neox" and ".query_key_value." in key:
            values = values.reshape(heads, 3, head_dim, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape).copy()
        if kind == "gemma3_text" and key.endswith("norm.weight"):
            values = values + 1
        if kind == "gpt2" and key.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
            values = values.T.copy()
        stored(writer, found, values, quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def blocks():
    """Random blocks of every type that is read, with the values that the package makes of them."""
    random = np.random.default_rng(7)
    found = {}
    for kind in ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"):
        quant = gguf.GGMLQuantizationType[kind]
        numbers, size = gguf.GGML_QUANT_SIZES[quant]
        count = 2 if numbers > 1 else 64
        raw = random.integers(0, 256, (count, size), dtype=np.uint8)
        # Scales are halves, at the front but for Q6_K.
        halves = {"F16": [0], "Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "BF16": []}
        for at in halves.get(kind, [0]):
            scales = random.normal(0, 1, count).astype(np.float16).view(np.uint8).reshape(count, 2)
            raw[:, at : at + 2] = scales
        if kind == "BF16":
            raw[:, 1] = raw[:, 1] & 0xBF
        values = gguf.quants.dequantize(raw, quant).astype(np.float32).reshape(-1)
        assert np.isfinite(values).all()
        found[kind] = {"bytes": raw.tobytes().hex(), "values": [int(bits) for bits in values.view(np.uint32)]}
    (OUT / "blocks.json").write_text(json.dumps(found) + "\n")


def byte_level(writer):
    """A byte-level vocabulary of 97 tokens."""
    letters = [chr(code) for code in range(33, 127) if chr(code).isalpha()]
    tokens = ["<|begin|>", "<|end|>", *letters, "Ġ", "Ċ", "am", "Ġi", "Ġam", "gl", "ad", "glad", "Ġglad", "1", "2"]
    merges = ["a m", "Ġ i", "Ġ am", "g l", "a d", "gl ad", "Ġ glad"]
    types = [3, 3] + [1] * (len(tokens) - 2)
    tokens += ["<sep>"]
    types += [4]
    while len(tokens) < 97:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")


def pieces(writer):
    """Pieces of sentencepiece with scores."""
    tokens, types, scores = ["<unk>", "<s>", "</s>"], [2, 3, 3], [0.0, 0.0, 0.0]
    for piece in ["▁a", "am", "▁am", "▁i", "gl", "ad", "glad", "▁glad"]:
        tokens.append(piece)
        types.append(1)
        scores.append(-float(len(tokens)))
    for code in range(97, 123):
        tokens.append(chr(code))
        types.append(1)
        scores.append(-float(len(tokens)))
    tokens.append("▁")
    types.append(1)
    scores.append(-float(len(tokens)))
    while len(tokens) < 97:
        tokens.append(f"<0x{len(tokens) + 159:02X}>")
        types.append(6)
        scores.append(0.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores(scores)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def main():
    OUT.mkdir(exist_ok=True)
    blocks()
    for name in ("gpt2-tiny", "gpt-neox-tiny", "qwen2-tiny", "qwen3-tiny", "smollm3-tiny", "phi3-tiny", "olmo2-tiny", "gemma3-tiny", "llama3-rope-tiny", "llama-tiny-untied"):
        model(name, f"{name}.gguf")
    model("llama-tiny", "llama-tiny.gguf", vocabulary=byte_level)
    model("llama-tiny", "llama-tiny-q8_0.gguf", gguf.GGMLQuantizationType.Q8_0, pieces)


main()
