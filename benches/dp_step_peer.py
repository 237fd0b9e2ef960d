"""Times PyTorch's step without privacy: GPT-2 of a shape, f32, gradient alone (zero_grad, forward, backward).

Arguments: batch tokens vocabulary width layers heads repetitions threads. Needs torch and transformers.
"""

import statistics
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

batch, tokens, vocabulary, width, layers, heads, repetitions, threads = map(int, sys.argv[1:9])
torch.set_num_threads(threads)
config = GPT2Config(
    vocab_size=vocabulary, n_positions=max(tokens, 64), n_embd=width, n_layer=layers, n_head=heads,
    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
)
model = GPT2LMHeadModel(config)
ids = torch.randint(0, vocabulary, (batch, tokens))
walls, cpus = [], []
for repetition in range(repetitions + 1):
    wall, cpu = time.perf_counter(), time.process_time()
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    if repetition:
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
wall, cpu = statistics.median(walls), statistics.median(cpus)
print(f"  PyTorch      wall {wall:.3f} s  cpu {cpu:.2f} s  {batch * tokens / wall:.0f} tokens/s (not private, {threads} threads)")
