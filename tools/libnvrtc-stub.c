// A layer over the real NVRTC, for tools/check-cuda-kernels.sh: counts what is compiled, and saves a program that is refused with what
// NVRTC says of it. It is in the same library as libcuda-stub.c, which lists the environment.
#define _GNU_SOURCE
#include "libcuda-stub.h"

#include <nvrtc.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
  nvrtcProgram real;
  char *source;
};

static void *real(const char *name) {
  static void *library;
  pthread_mutex_lock(&lock);
  if (!library) library = dlopen(setting("DPX_STUB_NVRTC"), RTLD_NOW | RTLD_LOCAL);
  pthread_mutex_unlock(&lock);
  void *function = library ? dlsym(library, name) : NULL;
  if (!function) {
    fprintf(stderr, "libcuda-stub: %s\n", dlerror());
    exit(97);
  }
  return function;
}
#define REAL(name) ((__typeof__(&name))real(#name))

EXPORT nvrtcResult nvrtcVersion(int *major, int *minor) { return REAL(nvrtcVersion)(major, minor); }
EXPORT const char *nvrtcGetErrorString(nvrtcResult result) { return REAL(nvrtcGetErrorString)(result); }

EXPORT nvrtcResult nvrtcCreateProgram(nvrtcProgram *made, const char *source, const char *name, int headers, const char *const *texts,
                                      const char *const *names) {
  struct program *program = calloc(1, sizeof *program);
  const char *damage = breaks("source", counts.compiled + 1) ? "\n#error damaged on purpose\n" : "";
  program->source = malloc(strlen(source) + strlen(damage) + 1);
  strcpy(program->source, source);
  strcat(program->source, damage);
  *made = (nvrtcProgram)program;
  return REAL(nvrtcCreateProgram)(&program->real, program->source, name, headers, texts, names);
}

EXPORT nvrtcResult nvrtcCompileProgram(nvrtcProgram made, int count, const char *const *options) {
  struct program *program = (struct program *)made;
  counts.compiled++;
  double begun = now();
  nvrtcResult result = REAL(nvrtcCompileProgram)(program->real, count, options);
  counts.nvrtc += now() - begun;
  if (result) {
    char path[4096];
    size_t length = 0;
    long number = ++counts.refused;
    REAL(nvrtcGetProgramLogSize)(program->real, &length);
    char *log = calloc(1, length + 1);
    REAL(nvrtcGetProgramLog)(program->real, log);
    snprintf(path, sizeof path, "%s/refused-%ld.cu", setting("DPX_STUB_DIR"), number);
    save(path, program->source, strlen(program->source));
    problem("NVRTC refuses %s: %.2000s", path, log);
    snprintf(path, sizeof path, "%s/refused-%ld.log", setting("DPX_STUB_DIR"), number);
    save(path, log, strlen(log));
    free(log);
  }
  return result;
}

EXPORT nvrtcResult nvrtcGetPTXSize(nvrtcProgram made, size_t *size) { return REAL(nvrtcGetPTXSize)(((struct program *)made)->real, size); }
EXPORT nvrtcResult nvrtcGetPTX(nvrtcProgram made, char *ptx) { return REAL(nvrtcGetPTX)(((struct program *)made)->real, ptx); }
EXPORT nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram made, size_t *size) {
  return REAL(nvrtcGetProgramLogSize)(((struct program *)made)->real, size);
}
EXPORT nvrtcResult nvrtcGetProgramLog(nvrtcProgram made, char *log) {
  return REAL(nvrtcGetProgramLog)(((struct program *)made)->real, log);
}
EXPORT nvrtcResult nvrtcDestroyProgram(nvrtcProgram *made) {
  struct program *program = (struct program *)*made;
  nvrtcResult result = REAL(nvrtcDestroyProgram)(&program->real);
  free(program->source);
  free(program);
  *made = NULL;
  return result;
}
