// What the two halves of the stub share (libcuda-stub.c, libnvrtc-stub.c): settings, counts, and what is written down.
#pragma once
#include <pthread.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

struct counts {
  long compiled, refused, loaded, kernels, launches, tensor_maps;
  double nvrtc, ptxas;
};

extern pthread_mutex_t lock;
extern struct counts counts;

// A variable of the environment that must be set.
const char *setting(const char *name);
// Seconds of a clock.
double now(void);
// Writes a line to `problems`: something that a real driver or NVRTC refuses.
void problem(const char *format, ...);
// Whether the N-th of a kind is to be damaged.
int breaks(const char *kind, long number);
void save(const char *path, const char *text, size_t length);
