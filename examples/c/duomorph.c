// Speech to the 52 ARKit curves with ONNX Runtime's C API alone: a wav file in, CSV out, one row for each 1/60 s.
//
//     duomorph export WEIGHTS.safetensors --format onnx-int8 --sound -o .
//     make && ./duomorph duomorph-sound-int8.onnx speech.wav 100 > speech.csv      (100: ms that it may listen ahead)
//
// The graph keeps nothing: what it calls state_X goes in, zeros before the first tick, and comes out as next_X.
// Tick n hears two windows of 400 samples; the second ends n/60 s after the start, the first half a tick earlier, each
// at the nearest sample. It gives the curves of tick n - delay. Here the whole sound is at hand; a live program calls
// `tick` whenever sample end(2 n) has come, and needs to keep the last 533 samples.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

enum { RATE = 16000, TICKS = 60, WINDOW = 400, SHAPES = 52, MOST = 40, RANK = 8 };

static const OrtApi *ort;
static OrtMemoryInfo *memory;

static void stop(const char *why) {
  fprintf(stderr, "duomorph: %s\n", why);
  exit(1);
}

static void check(OrtStatus *status) {
  if (status) stop(ort->GetErrorMessage(status));
}

static OrtValue *tensor(void *data, size_t bytes, const int64_t *shape, size_t rank, ONNXTensorElementDataType type) {
  OrtValue *value;
  check(ort->CreateTensorWithDataAsOrtValue(memory, data, bytes, shape, rank, type, &value));
  return value;
}

static OrtValue *integer(int64_t *value) {
  static const int64_t one[1] = {1};
  return tensor(value, sizeof *value, one, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
}

// -- the model: names of inputs and outputs, and the state between them

typedef struct {
  OrtSession *session;
  OrtAllocator *allocator;
  size_t states;                      // inputs beside the five below
  const char *inputs[MOST], *outputs[MOST];
  OrtValue *state[MOST];
  int64_t style, delay, stride;
} Model;

static const char *looked_up(Model *model, const char *key) {
  OrtModelMetadata *meta;
  char *value;
  check(ort->SessionGetModelMetadata(model->session, &meta));
  check(ort->ModelMetadataLookupCustomMetadataMap(meta, model->allocator, key, &value));
  ort->ReleaseModelMetadata(meta);
  if (!value) stop("this is no model with ears: expected one written by  duomorph export --sound");
  return value;
}

static OrtValue *zeros(Model *model, size_t input) {
  OrtTypeInfo *type;
  const OrtTensorTypeAndShapeInfo *info;
  int64_t shape[RANK];
  size_t rank, bytes;
  OrtValue *value;
  void *data;
  check(ort->SessionGetInputTypeInfo(model->session, input, &type));
  check(ort->CastTypeInfoToTensorInfo(type, &info));
  check(ort->GetDimensionsCount(info, &rank));
  if (rank > RANK) stop("a state of more dimensions than expected");
  check(ort->GetDimensions(info, shape, rank));
  ort->ReleaseTypeInfo(type);
  shape[0] = bytes = 1;  // one voice
  for (size_t axis = 0; axis < rank; axis++) bytes *= (size_t)shape[axis];
  bytes *= sizeof(float);
  check(ort->CreateTensorAsOrtValue(model->allocator, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
  check(ort->GetTensorMutableData(value, &data));
  memset(data, 0, bytes);
  return value;
}

static void load(Model *model, OrtEnv *env, const char *path, int delay) {
  static const char *given[] = {"sound", "functionals", "style", "delay", "stride"};
  OrtSessionOptions *options;
  size_t count;
  check(ort->CreateSessionOptions(&options));
  check(ort->SetIntraOpNumThreads(options, 1));  // it is real time many times over
  check(ort->CreateSession(env, path, options, &model->session));
  ort->ReleaseSessionOptions(options);
  check(ort->GetAllocatorWithDefaultOptions(&model->allocator));
  model->style = atoi(looked_up(model, "style"));
  model->delay = delay;
  model->stride = 1;
  check(ort->SessionGetInputCount(model->session, &count));
  if (count > MOST) stop("more inputs than expected");
  memcpy(model->inputs, given, sizeof given);
  model->outputs[0] = "weights";
  for (size_t input = 0; input < count; input++) {
    char *name, *next;
    check(ort->SessionGetInputName(model->session, input, model->allocator, &name));
    if (strncmp(name, "state_", 6)) continue;
    if (!(next = malloc(strlen(name)))) stop("out of memory");
    sprintf(next, "next_%s", name + 6);
    model->inputs[5 + model->states] = name;
    model->outputs[1 + model->states] = next;
    model->state[model->states++] = zeros(model, input);
  }
}

// One tick: (2, 400) samples -> the 52 curves of the tick that lies `delay` before it.
static void tick(Model *model, float *windows, float *curves) {
  static const int64_t sound[] = {1, 1, 2, WINDOW}, none[] = {1, 0, 264};
  const ONNXTensorElementDataType real = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  const OrtValue *in[MOST];
  OrtValue *out[MOST] = {0}, *given[5];
  void *data;
  given[0] = tensor(windows, 2 * WINDOW * sizeof(float), sound, 4, real);
  given[1] = tensor(windows, 0, none, 3, real);  // no voice features: the face of their mean
  given[2] = integer(&model->style);
  given[3] = integer(&model->delay);
  given[4] = integer(&model->stride);
  memcpy(in, given, sizeof given);
  memcpy(in + 5, model->state, model->states * sizeof *in);
  check(ort->Run(model->session, NULL, model->inputs, in, 5 + model->states, model->outputs, 1 + model->states, out));
  check(ort->GetTensorMutableData(out[0], &data));
  memcpy(curves, data, SHAPES * sizeof(float));
  ort->ReleaseValue(out[0]);
  for (size_t i = 0; i < 5; i++) ort->ReleaseValue(given[i]);
  for (size_t i = 0; i < model->states; i++) {
    ort->ReleaseValue(model->state[i]);
    model->state[i] = out[1 + i];
  }
}

// -- the sound

static uint32_t little(const uint8_t *bytes, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; i++) value |= (uint32_t)bytes[i] << (8 * i);
  return value;
}

// Samples of a wav file, in [-1, 1], and how many there are.
static float *read_wav(const char *path, int64_t *count) {
  uint8_t head[12], chunk[8], format[16] = {0};
  FILE *file = fopen(path, "rb");
  if (!file || fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4))
    stop("cannot read the sound: expected a wav file");
  while (fread(chunk, 1, 8, file) == 8) {
    uint32_t size = little(chunk + 4, 4);
    if (!memcmp(chunk, "fmt ", 4) && size >= 16) {
      if (fread(format, 1, 16, file) != 16) break;
      size -= 16;
    } else if (!memcmp(chunk, "data", 4)) {
      if (little(format, 2) != 1 || little(format + 2, 2) != 1 || little(format + 4, 4) != RATE || little(format + 14, 2) != 16)
        stop("cannot use the sound: expected 16 kHz, mono, 16 bits; ffmpeg -i IN -ar 16000 -ac 1 OUT.wav makes it so");
      uint8_t *bytes = malloc(size + 1);
      float *samples = malloc((size / 2 + 1) * sizeof(float));
      if (!bytes || !samples) stop("out of memory");
      *count = (int64_t)fread(bytes, 1, size, file) / 2;
      for (int64_t i = 0; i < *count; i++) samples[i] = (float)(int16_t)little(bytes + 2 * i, 2) / 32768.0f;
      free(bytes);
      fclose(file);
      return samples;
    }
    fseek(file, (long)(size + size % 2), SEEK_CUR);
  }
  stop("cannot read the sound: the wav file has no samples");
  return NULL;
}

// Number of samples before the end of a row; rows are half a tick apart, and row 2 n ends with tick n.
static int64_t end(int64_t row) { return row < 0 ? 0 : (2 * row * RATE + 2 * TICKS) / (4 * TICKS); }

int main(int argc, char **argv) {
  if (argc < 3) stop("usage: duomorph MODEL.onnx SPEECH.wav [DELAY_MS]");
  double ms = argc > 3 ? atof(argv[3]) : 100.0;
  if (!(ms >= 0 && ms <= 200)) stop("the delay is out of range: expected 0 to 200 ms");
  int64_t count, delay = (int64_t)ceil(fmax(ms - 0.5, 0) * TICKS / 1000);
  float *samples = read_wav(argv[2], &count);

  OrtEnv *env;
  Model model = {0};
  const OrtApiBase *base = OrtGetApiBase();
  if (!(ort = base->GetApi(ORT_API_VERSION))) stop("ONNX Runtime is older than its header");
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "duomorph", &env));
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  load(&model, env, argv[1], (int)delay);

  printf("time,%s\n", looked_up(&model, "shapes"));
  int64_t frames = (count * TICKS + RATE - 1) / RATE;
  for (int64_t n = 0; n < frames + delay; n++) {
    float windows[2][WINDOW], curves[SHAPES];
    for (int row = 0; row < 2; row++)
      for (int i = 0; i < WINDOW; i++) {
        int64_t at = end(2 * n - 1 + row) - WINDOW + i;
        windows[row][i] = at >= 0 && at < count ? samples[at] : 0.0f;  // before and after it there is silence
      }
    tick(&model, windows[0], curves);
    if (n < delay) continue;  // curves of what lies before the sound
    printf("%.6f", (double)(n - delay) / TICKS);
    for (int i = 0; i < SHAPES; i++) printf(",%.6f", (double)curves[i]);
    putchar('\n');
  }
  for (size_t i = 0; i < model.states; i++) ort->ReleaseValue(model.state[i]);
  ort->ReleaseSession(model.session);
  ort->ReleaseMemoryInfo(memory);
  ort->ReleaseEnv(env);
  free(samples);
  return 0;
}
