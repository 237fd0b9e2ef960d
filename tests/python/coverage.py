#!/usr/bin/env python3
"""The coverage table of docs/models.md: a random model of each family, and the cases that are easily read wrongly, compared
with `transformers`.

    pip install torch transformers sentencepiece protobuf
    python3 tests/python/coverage.py --dpx target/release/dpx
    python3 tests/python/coverage.py --dpx target/release/dpx --write docs/models.md

Every folder is made here, by `transformers` itself (nothing is downloaded), and checked as transformers_parity.py does. The second command
also puts the table in its place in the document, between the lines that name this script.
"""
import argparse
import datetime
import json
import re
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, PreTrainedTokenizerFast

import transformers_parity as parity

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256, "initializer_range": 0.3}
GROUPED = {**SIZES, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
GENERATORS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3},
    "gpt_neox": {**SIZES, "rotary_pct": 0.5},
    "llama": GROUPED,
    "mistral": {**GROUPED, "sliding_window": 8},
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 16},
    "smollm3": {**GROUPED, "num_hidden_layers": 4},
    "phi3": GROUPED,
    "olmo2": GROUPED,
    "gemma3_text": {**GROUPED, "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16},
}
ENCODERS = {
    "bert": SIZES,
    "roberta": {**SIZES, "max_position_embeddings": 258, "pad_token_id": 0},
    "xlm-roberta": {**SIZES, "max_position_embeddings": 258, "pad_token_id": 0},
    "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 256, "initializer_range": 0.3},
    "electra": {**SIZES, "embedding_size": 16},
    "mpnet": {**SIZES, "pad_token_id": 0},
    "deberta-v2": {**SIZES, "relative_attention": True, "position_buckets": 16, "max_relative_positions": -1, "share_att_key": True, "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p", "position_biased_input": False},
    "modernbert": {**SIZES, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
}
TYPED = ["i typed <|endoftext|> in the middle", "<|endoftext|>", "Zoë and <mark> here", "  two  spaces ", "ok"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(parity.TEXTS * 20, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, pad_token=end, unk_token=end)


def word_pieces():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(parity.TEXTS * 20, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def llama_pieces():
    """Like that of Llama 2: pieces, bytes, and the rules that its `tokenizer.json` holds and its class does not read."""
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=460, special_tokens=special + [f"<0x{byte:02X}>" for byte in range(256)], show_progress=False)
    tokenizer.train_from_iterator(parity.TEXTS * 20, trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in special]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def model(folder, kind, auto, tokenizer, **values):
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **values)
    made = auto.from_config(config).eval()
    # Norms and biases of one and zero would hide what is done with them.
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return made


def edit(path, **values):
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps(content))


def families(root):
    for kind, values in GENERATORS.items():
        model(root / kind, kind, transformers.AutoModelForCausalLM, byte_level(), **values)
        yield kind, parity.TEXTS
    for kind, values in ENCODERS.items():
        model(root / kind, kind, transformers.AutoModel, word_pieces(), **values)
        yield kind, parity.TEXTS
    for kind in ("llama", "gpt2", "qwen3"):
        values = {**GENERATORS[kind], "num_labels": 3, "pad_token_id": 0}
        model(root / f"{kind}, classifier", kind, transformers.AutoModelForSequenceClassification, byte_level(), **values)
        yield f"{kind}, classifier", parity.TEXTS
    for kind in ("bert", "roberta", "distilbert", "electra", "deberta-v2"):
        model(root / f"{kind}, classifier", kind, transformers.AutoModelForSequenceClassification, word_pieces(), **{**ENCODERS[kind], "num_labels": 3})
        yield f"{kind}, classifier", parity.TEXTS


def silent(root):
    """What is easily read wrongly without a word."""
    llama = lambda name, tokenizer, **more: model(root / name, "llama", transformers.AutoModelForCausalLM, tokenizer, **{**GROUPED, **more})
    name = "an output layer stored beside the embedding"
    made = llama(name, byte_level(), tie_word_embeddings=False)
    edit(root / name / "config.json", tie_word_embeddings=True)
    yield name, parity.TEXTS
    name = "special tokens within texts"
    tokenizer = byte_level()
    tokenizer.add_tokens(["<mark>"])
    llama(name, tokenizer)
    yield name, TYPED
    name = "add_bos_token, add_eos_token"
    llama(name, byte_level())
    edit(root / name / "tokenizer_config.json", add_bos_token=True, add_eos_token=True)
    yield name, TYPED
    name = "do_lower_case of a cased class"
    model(root / name, "bert", transformers.AutoModel, word_pieces(), **SIZES)
    edit(root / name / "tokenizer_config.json", tokenizer_class="BertTokenizer", do_lower_case=False)
    yield name, parity.TEXTS
    for keys in ({}, {"legacy": True}, {"legacy": False}, {"add_prefix_space": False}):
        name = "LlamaTokenizer" + "".join(f", {key}: {str(value).lower()}" for key, value in keys.items())
        llama(name, llama_pieces())
        edit(root / name / "tokenizer_config.json", tokenizer_class="LlamaTokenizer", **keys)
        yield name, [*TYPED, "a</s>b", " i feel"]
    name = "keys of other classes"
    llama(name, byte_level())
    edit(root / name / "tokenizer_config.json", add_prefix_space=True, strip_accents=False, legacy=True)
    yield name, TYPED
    name = "do_lower_case of PreTrainedTokenizerFast"
    model(root / name, "bert", transformers.AutoModel, word_pieces(), **SIZES)
    edit(root / name / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", do_lower_case=False, strip_accents=False)
    yield name, TYPED
    name = "added_tokens.json beside tokenizer.json"
    tokenizer = byte_level()
    size = len(tokenizer)
    tokenizer.add_tokens(["<mark>"])
    llama(name, tokenizer)
    byte_level().save_pretrained(root / name)
    (root / name / "added_tokens.json").write_text(json.dumps({"<mark>": size}))
    yield name, TYPED
    for scaling in ("linear", "yarn", "llama3"):
        rope = {"rope_type": scaling, "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
        if scaling == "llama3":
            rope.update(low_freq_factor=1.0, high_freq_factor=4.0)
        if scaling == "linear":
            rope.pop("original_max_position_embeddings")
        name = f"rotary embeddings: {scaling}"
        llama(name, byte_level(), rope_parameters=rope)
        yield name, parity.TEXTS
    for kind in ("llama", "unigram"):
        name = f"tokenizer.model alone: {kind}"
        pieces(root / name, kind)
        yield name, TYPED
    assert made is not None


def pieces(folder, kind):
    import sentencepiece

    folder.mkdir()
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(parity.TEXTS * 50))
    kinds = {"llama": {"model_type": "bpe", "normalization_rule_name": "identity", "remove_extra_whitespaces": False}, "unigram": {"model_type": "unigram"}}
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=400, hard_vocab_limit=False, byte_fallback=True, minloglevel=2, **kinds[kind]
    )
    corpus.unlink()
    (folder / "tokenizer.vocab").unlink()
    size = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).get_piece_size()
    torch.manual_seed(1)
    config = AutoConfig.for_model("llama", **{**GROUPED, "vocab_size": size, "bos_token_id": 1, "eos_token_id": 2})
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    if kind == "llama":
        roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, **roles}))


BEGIN, END = "<!-- coverage.py -->", "<!-- end of coverage.py -->"
# What a check is called, and the column that it stands in.
SHORT = {
    "token ids of five texts": ("equal", "token ids"),
    "greedy continuations": ("equal", "greedy tokens"),
    "classes": ("equal", "classes"),
    "logits after the last token": ("close", "logits"),
    "logits": ("close", "logits"),
    "mean loss of a token": ("close", "losses"),
    "mean-pooled embeddings": ("close", "embeddings"),
    "normalised embeddings": ("close", "of length 1"),
}


def cells(check):
    """What was compared, exactly and within a tolerance."""
    found = {"equal": [], "close": []}
    for line in check.lines:
        told = re.match(r" *(?:ok|FAIL) +(.*?): (.*)$", line)
        if told is None:
            continue
        column, what = SHORT.get(told[1], ("close", told[1]))
        value = told[2].removesuffix(" rows equal").removeprefix("largest difference ").replace(" at a scale of ", ", ")
        found[column].append(f"{what} {value}")
    return ["; ".join(found[column]) or "–" for column in ("equal", "close")]


def put(path, table):
    """Replaces the table of a document."""
    text = Path(path).read_text()
    before, rest = text.split(BEGIN + "\n", 1)
    after = rest.split(END, 1)[1]
    Path(path).write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dpx", default="target/release/dpx")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table between the lines of a document that name this script")
    options = parser.parse_args()
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()
    failed, lines = [], []
    with tempfile.TemporaryDirectory() as root:
        for made in (families, silent):
            for name, texts in made(Path(root)):
                check = parity.compare(options.dpx, str(Path(root) / name), texts)
                if check.failures:
                    failed.append(name)
                lines.append(f"| {' | '.join([name, *cells(check), 'yes' if check.failures == 0 else '**no**'])} |")
                print(lines[-1], flush=True)
                if check.failures:
                    print("\n".join(check.lines), file=sys.stderr, flush=True)
    agree = "all agree" if not failed else f"{len(lines) - len(failed)} agree"
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    table = "\n".join([
        f"{datetime.date.today()}, {versions}: {len(lines)} rows, {agree}.",
        "",
        "| model, or what is easily read wrongly | equal | largest difference, at a scale of | agrees |",
        "|---|---|---|---|",
        *lines,
        "",
    ])
    print(f"\n{table}")
    if options.write:
        put(options.write, table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
