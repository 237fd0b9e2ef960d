"""Times PyTorch's step on GPT-2 of a shape, gradient alone (zero_grad, forward, backward): without privacy and, on a GPU where
Opacus is installed, with its ghost clipping and its hooks.

Arguments: batch tokens vocabulary width layers heads repetitions threads [device class]. Needs torch and transformers. On `cuda`
it measures f32 with TF32 off and on, and bfloat16 autocast.
"""

import contextlib
import statistics
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

batch, tokens, vocabulary, width, layers, heads, repetitions, threads = map(int, sys.argv[1:9])
on_gpu = sys.argv[9:] == ["cuda"]
device = "cuda" if on_gpu else "cpu"
torch.set_num_threads(threads)
config = GPT2Config(
    vocab_size=vocabulary, n_positions=max(tokens, 64), n_embd=width, n_layer=layers, n_head=heads,
    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
)
ids = torch.randint(0, vocabulary, (batch, tokens), device=device)


def loss_of(model):
    return model(input_ids=ids, labels=ids).loss


def measure(name, step):
    walls, cpus = [], []
    try:
        for repetition in range(repetitions + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if on_gpu:
                torch.cuda.synchronize()
            if repetition:
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
    except torch.cuda.OutOfMemoryError:
        print(f"  {name}: out of memory")
        torch.cuda.empty_cache()
        return
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"  {name}  wall {wall:.3f} s  cpu {cpu:.2f} s  {batch * tokens / wall:.0f} tokens/s")


def plain(context):
    model = GPT2LMHeadModel(config).to(device)

    def step():
        model.zero_grad()
        with context():
            loss = loss_of(model)
        loss.backward()

    return step


def opacus(ghost):
    from opacus.grad_sample import GradSampleModule
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping

    # Opacus refuses tied weights: the output layer has a weight of its own here, which is less work than dpx does.
    untied = GPT2Config(**{**config.to_dict(), "tie_word_embeddings": False})
    model = GPT2LMHeadModel(untied).to(device)
    model.train()
    if ghost:
        wrapped = GradSampleModuleFastGradientClipping(
            model, batch_first=True, loss_reduction="mean", max_grad_norm=1.0, use_ghost_clipping=True, strict=False,
        )
    else:
        wrapped = GradSampleModule(model, batch_first=True, loss_reduction="mean", strict=False)

    def example_losses():
        logits = wrapped(input_ids=ids).logits[:, :-1]
        flat = torch.nn.functional.cross_entropy(
            logits.reshape(-1, vocabulary), ids[:, 1:].reshape(-1), reduction="none",
        )
        return flat.reshape(batch, -1).mean(dim=1)

    def step():
        wrapped.zero_grad()
        losses = example_losses()
        if not ghost:
            losses.mean().backward()
            for parameter in wrapped.parameters():
                parameter.grad_sample = None
            return
        wrapped.enable_hooks()
        losses.mean().backward(retain_graph=True)
        wrapped.disable_hooks()
        wrapped.zero_grad()
        (wrapped.get_clipping_coef() * losses).sum().backward()

    return step


if not on_gpu:
    measure(f"PyTorch, not private, {threads} threads", plain(contextlib.nullcontext))
else:
    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        measure(f"PyTorch, not private, f32, TF32 {'on' if tf32 else 'off'}", plain(contextlib.nullcontext))
    measure("PyTorch, not private, bf16 autocast", plain(lambda: torch.autocast("cuda", torch.bfloat16)))
    for name, ghost in (("ghost clipping", True), ("hooks", False)):
        try:
            step = opacus(ghost)
        except Exception as error:  # Opacus is not installed, or knows no such layer
            print(f"  Opacus, {name}: not measured: {type(error).__name__}: {error}")
            continue
        measure(f"Opacus, {name}, f32, TF32 on", step)
