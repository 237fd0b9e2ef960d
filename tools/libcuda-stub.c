// A stand-in for NVIDIA's driver (libcuda), for tools/check-cuda-kernels.sh: no GPU, no numbers.
//
// Device memory is host memory, and copies are real. A module that is loaded is saved as PTX and assembled by ptxas for the
// architecture that the device claims; a launch is compared with the limits of that architecture and with the parameters of the
// kernel, and does nothing. Whatever a real driver would refuse is refused here and written to `problems`: autotuning passes over a
// kernel that fails, a check must not.
//
// Environment:
//   DPX_STUB_DIR    folder for `ptx/`, `problems`, `counts`, `refused-N.cu` and `refused-N.log`
//   DPX_STUB_SM     the architecture: 75, 80, 86, 89, 90, 100 or 120
//   DPX_STUB_PTXAS  the assembler
//   DPX_STUB_NVRTC  the real libnvrtc
//   DPX_STUB_BREAK  `source:N` or `ptx:N` damages the N-th program or module on purpose, so that the check can be checked
#define _GNU_SOURCE
#include "libcuda-stub.h"

#include <cuda.h>

#include <ctype.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARAMETERS 256
// 32-bit words of this are 0.0115 in f32 and in pairs of bfloat16: kernels write nothing, and zeros would hide what follows numbers.
#define FILL 0x3c
#define MOST_FILLED ((size_t)64 << 20)
#define WARP 32
#define REGISTERS 65536

extern char **environ;

struct module {
  char name[4096];               // of its entry
  int parameters;                // of its entry
  char pointer[MAX_PARAMETERS];  // whether a parameter is a 64-bit value, which is an address
  int registers;
  size_t shared;                 // static shared memory in bytes
  size_t dynamic;                // dynamic shared memory allowed
};

struct allocation {
  struct allocation *next;
  CUdeviceptr start;
  size_t size;
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct counts counts;
static struct allocation *allocations;
static long problems;
static __thread CUcontext current;

const char *setting(const char *name) {
  const char *value = getenv(name);
  if (!value || !*value) {
    fprintf(stderr, "libcuda-stub: %s is not set\n", name);
    exit(97);
  }
  return value;
}

static int sm(void) { return atoi(setting("DPX_STUB_SM")); }

double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void problem(const char *format, ...) {
  char path[4096], text[8192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  __atomic_add_fetch(&problems, 1, __ATOMIC_SEQ_CST);
  snprintf(path, sizeof path, "%s/problems", setting("DPX_STUB_DIR"));
  FILE *file = fopen(path, "a");
  if (file) {
    fprintf(file, "%s\n", text);
    fclose(file);
  }
}

int breaks(const char *kind, long number) {
  const char *asked = getenv("DPX_STUB_BREAK");
  size_t length = strlen(kind);
  return asked && !strncmp(asked, kind, length) && asked[length] == ':' && atol(asked + length + 1) == number;
}

void save(const char *path, const char *text, size_t length) {
  FILE *file = fopen(path, "w");
  if (!file || fwrite(text, 1, length, file) != length || fclose(file)) {
    fprintf(stderr, "libcuda-stub: %s cannot be written\n", path);
    exit(97);
  }
}

static char *contents(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) return strdup("");
  char *text = calloc(1, 1 << 20);
  size_t length = fread(text, 1, (1 << 20) - 1, file);
  text[length] = 0;
  fclose(file);
  return text;
}

__attribute__((destructor)) static void finish(void) {
  const char *folder = getenv("DPX_STUB_DIR");
  char path[4096];
  // A process that loaded this library without using a device has nothing to say.
  if (!folder || (!counts.compiled && !counts.loaded)) return;
  snprintf(path, sizeof path, "%s/counts", folder);
  FILE *file = fopen(path, "w");
  if (!file) return;
  fprintf(file,
          "compiled=%ld\nrefused=%ld\nloaded=%ld\nkernels=%ld\nlaunches=%ld\ntensor_maps=%ld\nproblems=%ld\n"
          "nvrtc_seconds=%.0f\nptxas_seconds=%.0f\n",
          counts.compiled, counts.refused, counts.loaded, counts.kernels, counts.launches, counts.tensor_maps, problems, counts.nvrtc,
          counts.ptxas);
  fclose(file);
}

// ---- The device ----

// Shared memory that a block may ask for, as the CUDA programming guide's table of compute capabilities has it.
static int shared_per_block(void) {
  switch (sm()) {
    case 75: return 64 << 10;
    case 80: return 163 << 10;
    case 86: case 89: case 120: return 99 << 10;
    case 90: case 100: return 227 << 10;
  }
  fprintf(stderr, "libcuda-stub: no limits are known of sm_%d\n", sm());
  exit(97);
}

EXPORT CUresult cuInit(unsigned flags) { (void)flags; return CUDA_SUCCESS; }
EXPORT CUresult cuDriverGetVersion(int *version) { *version = CUDA_VERSION; return CUDA_SUCCESS; }
EXPORT CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  (void)device;
  snprintf(name, (size_t)length, "no GPU: a stub of sm_%d", sm());
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
  (void)device;
  *bytes = (size_t)16 << 30;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemGetInfo(size_t *free, size_t *total) {
  *free = *total = (size_t)16 << 30;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  (void)device;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = sm() / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = sm() % 10; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = WARP; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = INT32_MAX; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 << 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = shared_per_block(); break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = sm() >= 90 ? 132 : 108; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = 1; break;
    default:
      problem("the device was asked for attribute %d, which this stub does not know", (int)attribute);
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  (void)device;
  *context = (CUcontext)&counts;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device) { (void)device; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxSetCurrent(CUcontext context) { current = context; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetCurrent(CUcontext *context) { *context = current; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxSynchronize(void) { return CUDA_SUCCESS; }

static const char *error_name(CUresult error) {
  switch (error) {
    case CUDA_SUCCESS: return "CUDA_SUCCESS";
    case CUDA_ERROR_INVALID_VALUE: return "CUDA_ERROR_INVALID_VALUE";
    case CUDA_ERROR_OUT_OF_MEMORY: return "CUDA_ERROR_OUT_OF_MEMORY";
    case CUDA_ERROR_INVALID_DEVICE: return "CUDA_ERROR_INVALID_DEVICE";
    case CUDA_ERROR_INVALID_PTX: return "CUDA_ERROR_INVALID_PTX";
    case CUDA_ERROR_NO_BINARY_FOR_GPU: return "CUDA_ERROR_NO_BINARY_FOR_GPU";
    case CUDA_ERROR_NOT_FOUND: return "CUDA_ERROR_NOT_FOUND";
    case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: return "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES";
    default: return "an error";
  }
}
EXPORT CUresult cuGetErrorName(CUresult error, const char **name) { *name = error_name(error); return CUDA_SUCCESS; }
EXPORT CUresult cuGetErrorString(CUresult error, const char **text) { *text = error_name(error); return CUDA_SUCCESS; }

// ---- Memory ----

EXPORT CUresult cuMemAlloc(CUdeviceptr *pointer, size_t size) {
  void *start;
  if (posix_memalign(&start, 512, size)) return CUDA_ERROR_OUT_OF_MEMORY;
  // Larger blocks come from the system as untouched pages of zeros: filling them would take memory that nobody needs.
  if (size <= MOST_FILLED) memset(start, FILL, size);
  struct allocation *allocation = malloc(sizeof *allocation);
  *pointer = (CUdeviceptr)start;
  pthread_mutex_lock(&lock);
  *allocation = (struct allocation){allocations, *pointer, size};
  allocations = allocation;
  pthread_mutex_unlock(&lock);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemFree(CUdeviceptr pointer) {
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&lock);
  for (struct allocation **link = &allocations; *link; link = &(*link)->next) {
    if ((*link)->start == pointer) {
      struct allocation *found = *link;
      *link = found->next;
      free((void *)found->start);
      free(found);
      result = CUDA_SUCCESS;
      break;
    }
  }
  pthread_mutex_unlock(&lock);
  if (result) problem("memory was freed that was not allocated");
  return result;
}

EXPORT CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t size, CUstream stream) { (void)stream; return cuMemAlloc(pointer, size); }
EXPORT CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) { (void)stream; return cuMemFree(pointer); }

EXPORT CUresult cuMemAllocHost(void **pointer, size_t size) {
  return posix_memalign(pointer, 512, size) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}
EXPORT CUresult cuMemFreeHost(void *pointer) { free(pointer); return CUDA_SUCCESS; }

// Whether bytes of device memory are all in one allocation.
static int allocated(CUdeviceptr start, size_t size) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (struct allocation *one = allocations; one && !found; one = one->next)
    found = start >= one->start && start + size <= one->start + one->size;
  pthread_mutex_unlock(&lock);
  return found;
}

static CUresult copy(void *to, const void *from, size_t size, CUdeviceptr on_device) {
  if (!allocated(on_device, size)) {
    problem("a copy of %zu bytes leaves the memory that was allocated", size);
    return CUDA_ERROR_INVALID_VALUE;
  }
  memmove(to, from, size);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t size) { return copy((void *)to, from, size, to); }
EXPORT CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t size) { return copy(to, (const void *)from, size, from); }
EXPORT CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t size) {
  return copy((void *)to, (const void *)from, size, from);
}
EXPORT CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
  (void)stream;
  return cuMemcpyHtoD(to, from, size);
}
EXPORT CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) {
  (void)stream;
  return cuMemcpyDtoH(to, from, size);
}
EXPORT CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
  (void)stream;
  return cuMemcpyDtoD(to, from, size);
}
EXPORT CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) {
  if (!allocated(to, count)) return CUDA_ERROR_INVALID_VALUE;
  memset((void *)to, value, count);
  return CUDA_SUCCESS;
}
EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  (void)stream;
  return cuMemsetD8(to, value, count);
}

EXPORT CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *asked, CUstream stream) {
  (void)stream;
  int to_device = asked->dstMemoryType == CU_MEMORYTYPE_DEVICE, from_device = asked->srcMemoryType == CU_MEMORYTYPE_DEVICE;
  const char *from = from_device ? (const char *)asked->srcDevice : asked->srcHost;
  char *to = to_device ? (char *)asked->dstDevice : asked->dstHost;
  from += asked->srcY * asked->srcPitch + asked->srcXInBytes;
  to += asked->dstY * asked->dstPitch + asked->dstXInBytes;
  for (size_t row = 0; row < asked->Height; row++) {
    CUdeviceptr on_device = to_device ? (CUdeviceptr)to : (CUdeviceptr)from;
    CUresult result = copy(to, from, asked->WidthInBytes, on_device);
    if (result) return result;
    from += asked->srcPitch;
    to += asked->dstPitch;
  }
  return CUDA_SUCCESS;
}

// ---- Streams and events: everything is done when it is asked for ----

static CUresult handle(void **made) { *made = malloc(1); return CUDA_SUCCESS; }

EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned flags) { (void)flags; return handle((void **)stream); }
EXPORT CUresult cuStreamDestroy(CUstream stream) { free(stream); return CUDA_SUCCESS; }
EXPORT CUresult cuStreamSynchronize(CUstream stream) { (void)stream; return CUDA_SUCCESS; }
EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  (void)stream, (void)event, (void)flags;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuEventCreate(CUevent *event, unsigned flags) { (void)flags; return handle((void **)event); }
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) { (void)event, (void)stream; return CUDA_SUCCESS; }
EXPORT CUresult cuEventSynchronize(CUevent event) { (void)event; return CUDA_SUCCESS; }
EXPORT CUresult cuEventDestroy(CUevent event) { free(event); return CUDA_SUCCESS; }

// ---- Modules ----

// Runs ptxas; what it says is in `said`. Its exit status.
static int assemble(const char *ptx, const char *said) {
  char arch[32];
  snprintf(arch, sizeof arch, "--gpu-name=sm_%d%s", sm(), sm() >= 90 ? "a" : "");
  char *arguments[] = {(char *)setting("DPX_STUB_PTXAS"), arch, "--verbose", "--output-file", "/dev/null", (char *)ptx, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, said, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child;
  int status = -1;
  double begun = now();
  if (posix_spawn(&child, arguments[0], &actions, NULL, arguments, environ) == 0) waitpid(child, &status, 0);
  counts.ptxas += now() - begun;
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

// Name and parameters of the one entry of a module.
static int read_entry(const char *ptx, struct module *module) {
  const char *entry = strstr(ptx, ".entry ");
  if (!entry || strstr(entry + 1, ".entry ")) return 0;
  entry += strlen(".entry ");
  size_t length = strcspn(entry, "( \n");
  if (length >= sizeof module->name) return 0;
  memcpy(module->name, entry, length);
  const char *open = strchr(entry, '('), *close = open ? strchr(open, ')') : NULL;
  const char *brace = strchr(entry, '{');
  if (!open || !close || (brace && brace < open)) return 1;
  for (const char *at = open; (at = strstr(at, ".param ")) && at < close; at += strlen(".param ")) {
    if (module->parameters == MAX_PARAMETERS) return 0;
    module->pointer[module->parameters++] = !strncmp(at, ".param .u64 ", strlen(".param .u64 "));
  }
  return 1;
}

// The number before a unit in what ptxas says, 0 where there is none.
static long number_before(const char *said, const char *unit) {
  const char *at = strstr(said, unit);
  if (!at) return 0;
  while (at > said && at[-1] == ' ') at--;
  while (at > said && isdigit((unsigned char)at[-1])) at--;
  return atol(at);
}

EXPORT CUresult cuModuleLoadData(CUmodule *loaded, const void *image) {
  char *ptx = strdup(image), path[4096], said_path[4096 + 8], target[32];
  size_t length = strlen(ptx);
  long number = ++counts.loaded;
  if (breaks("ptx", number)) {
    char *end = strstr(ptx, "ret;");
    if (end) memcpy(end, "rex;", 4);
  }
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)ptx[i]) * 1099511628211u;
  snprintf(path, sizeof path, "%s/ptx/%016llx.ptx", setting("DPX_STUB_DIR"), (unsigned long long)hash);
  snprintf(said_path, sizeof said_path, "%s.log", path);
  struct module *module = calloc(1, sizeof *module);
  module->dynamic = 48 << 10;
  CUresult result = CUDA_SUCCESS;
  snprintf(target, sizeof target, ".target sm_%d%s", sm(), sm() >= 90 ? "a" : "");
  const char *found = strstr(ptx, ".target ");
  if (!found || strncmp(found, target, strlen(target)) || isalnum((unsigned char)found[strlen(target)])) {
    problem("a module is not for sm_%d: `%.40s`", sm(), found ? found : "no .target");
    result = CUDA_ERROR_NO_BINARY_FOR_GPU;
  } else if (!read_entry(ptx, module)) {
    problem("a module does not have one entry: %s", path);
    result = CUDA_ERROR_INVALID_PTX;
  } else {
    if (access(path, F_OK)) {
      save(path, ptx, length);
      counts.kernels++;
      if (assemble(path, said_path)) {
        char *said = contents(said_path);
        problem("ptxas refuses %s (%s): %.2000s", path, module->name, said);
        free(said);
        result = CUDA_ERROR_INVALID_PTX;
      }
    }
    char *said = contents(said_path);
    module->registers = (int)number_before(said, " registers");
    module->shared = (size_t)number_before(said, " bytes smem");
    if (!result && !module->registers) problem("ptxas does not say how many registers %s uses", module->name);
    free(said);
  }
  free(ptx);
  *loaded = (CUmodule)module;
  return result;
}

EXPORT CUresult cuModuleUnload(CUmodule module) { (void)module; return CUDA_SUCCESS; }

EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  *function = (CUfunction)module;
  if (strcmp(((struct module *)module)->name, name)) {
    problem("a module has no kernel %s", name);
    return CUDA_ERROR_NOT_FOUND;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  struct module *module = (struct module *)function;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
  if (value < 0 || (size_t)value + module->shared > (size_t)shared_per_block()) {
    problem("%s asks for %d bytes of shared memory", module->name, value);
    return CUDA_ERROR_INVALID_VALUE;
  }
  module->dynamic = (size_t)value;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                               unsigned shared, CUstream stream, void **parameters, void **extra) {
  (void)stream, (void)extra;
  struct module *module = (struct module *)function;
  counts.launches++;
  unsigned long threads = (unsigned long)bx * by * bz;
  if (!gx || !gy || !gz || gx > INT32_MAX || gy > 65535 || gz > 65535 || !threads || threads > 1024 || bz > 64) {
    problem("%s is launched as %u x %u x %u blocks of %u x %u x %u", module->name, gx, gy, gz, bx, by, bz);
    return CUDA_ERROR_INVALID_VALUE;
  }
  // Registers are given to a warp 256 at a time.
  unsigned long warps = (threads + WARP - 1) / WARP, per_warp = ((unsigned long)module->registers * WARP + 255) / 256 * 256;
  if (shared > module->dynamic || warps * per_warp > REGISTERS) {
    problem("%s is launched with %lu threads of %d registers and %u bytes of shared memory", module->name, threads, module->registers,
            shared);
    return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  }
  for (int i = 0; i < module->parameters; i++) {
    if (!parameters || !parameters[i]) {
      problem("%s is launched without its parameter %d of %d", module->name, i, module->parameters);
      return CUDA_ERROR_INVALID_VALUE;
    }
    CUdeviceptr value;
    memcpy(&value, parameters[i], module->pointer[i] ? sizeof value : 0);
    if (module->pointer[i] && !allocated(value, 1)) {
      problem("parameter %d of %s is no address of device memory", i, module->name);
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  return CUDA_SUCCESS;
}

// The conditions of the driver's documentation for tiled tensor maps.
EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                       const cuuint64_t *shape, const cuuint64_t *strides, const cuuint32_t *box,
                                       const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                       CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  (void)promotion, (void)fill;
  static const int sizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  counts.tensor_maps++;
  memset(map, 0, sizeof *map);
  int fits = rank >= 1 && rank <= 5 && (unsigned)type < sizeof sizes / sizeof *sizes && (uintptr_t)address % 16 == 0 &&
             allocated((CUdeviceptr)address, 1);
  for (unsigned i = 0; fits && i < rank; i++) {
    fits = shape[i] >= 1 && shape[i] <= (1ull << 32) && box[i] >= 1 && box[i] <= 256 && steps[i] >= 1 && steps[i] <= 8;
    if (fits && i + 1 < rank) fits = strides[i] % 16 == 0 && strides[i] < (1ull << 40);
  }
  if (fits && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE) {
    unsigned inner = box[0] * (unsigned)sizes[type];
    unsigned most = swizzle == CU_TENSOR_MAP_SWIZZLE_32B   ? 32
                    : swizzle == CU_TENSOR_MAP_SWIZZLE_64B ? 64
                    : swizzle == CU_TENSOR_MAP_SWIZZLE_NONE ? UINT32_MAX
                                                            : 128;
    fits = inner % 16 == 0 && inner <= most;
  }
  if (!fits) {
    problem("a tensor map of rank %u, type %d, swizzle %d, box %u does not meet the driver's conditions", rank, (int)type, (int)swizzle,
            rank ? box[0] : 0);
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
