-- The C that an exported network calls, by the kind of layer: C99 texts, of which c.lua writes the ones that a network
-- needs. x and y are planes of floats, channels x height x width, row after row; elementwise layers work in place.
local m = {}

--- What a convolution or pooling is told of its shapes.
m.window = [[
/* Shapes of a layer that slides a window over pictures. Row r of the output begins at row r * stride_h - top. */
typedef struct window {
  int channels, height, width;
  int out_channels, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, top, left, groups;
} window;
]]

m.linear = [[
/* y[o] = b[o] + sum over i of w[o][i] x[i]; four sums at a time, so that no addition waits for the one before. */
static void linear(float *y, const float *x, const float *w, const float *b, int in, int out) {
  for (int o = 0; o < out; o++, w += in) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int i = 0;
    for (; i + 4 <= in; i += 4) {
      s0 += w[i] * x[i];
      s1 += w[i + 1] * x[i + 1];
      s2 += w[i + 2] * x[i + 2];
      s3 += w[i + 3] * x[i + 3];
    }
    for (; i < in; i++) s0 += w[i] * x[i];
    y[o] = (s0 + s1) + (s2 + s3) + (b ? b[o] : 0);
  }
}
]]

m.conv2d = [[
/* plane[r][c] += tap * from[r * stride_h + down][c * stride_w + right], where that is inside. */
static void add_tap(float *plane, const float *from, float tap, int down, int right, const window *s) {
  int first = right < 0 ? (-right + s->stride_w - 1) / s->stride_w : 0;
  int end = s->width > right ? (s->width - right + s->stride_w - 1) / s->stride_w : 0;
  if (end > s->out_width) end = s->out_width;
  for (int r = 0; r < s->out_height; r++) {
    int row = r * s->stride_h + down;
    if (row < 0 || row >= s->height) continue;
    const float *in = from + row * s->width + right;
    float *out = plane + r * s->out_width;
    for (int c = first; c < end; c++) out[c] += tap * in[c * s->stride_w];
  }
}

/* y[o] = b[o] + sum over the group's channels k of x[k] correlated with w[o][k]. */
static void conv2d(float *y, const float *x, const float *w, const float *b, const window *s) {
  int in = s->channels / s->groups, out = s->out_channels / s->groups;
  int size = s->height * s->width, out_size = s->out_height * s->out_width;
  for (int o = 0; o < s->out_channels; o++, y += out_size) {
    for (int i = 0; i < out_size; i++) y[i] = b ? b[o] : 0;
    for (int k = 0; k < in; k++) {
      const float *from = x + (o / out * in + k) * size;
      for (int i = 0; i < s->kernel_h; i++) {
        for (int j = 0; j < s->kernel_w; j++) add_tap(y, from, *w++, i - s->top, j - s->left, s);
      }
    }
  }
}
]]

m.max_pool2d = [[
/* The largest value of each window. */
static void max_pool2d(float *y, const float *x, const window *s) {
  for (int k = 0; k < s->channels; k++, x += s->height * s->width) {
    for (int r = 0; r < s->out_height; r++) {
      for (int c = 0; c < s->out_width; c++) {
        float best = -INFINITY;
        for (int i = 0; i < s->kernel_h; i++) {
          for (int j = 0; j < s->kernel_w; j++) {
            int row = r * s->stride_h + i - s->top, col = c * s->stride_w + j - s->left;
            if (row < 0 || row >= s->height || col < 0 || col >= s->width) continue;
            if (x[row * s->width + col] > best) best = x[row * s->width + col];
          }
        }
        *y++ = best;
      }
    }
  }
}
]]

m.avg_pool2d = [[
/* The mean of each window; with `whole`, what is outside counts as zeros. */
static void avg_pool2d(float *y, const float *x, int whole, const window *s) {
  for (int k = 0; k < s->channels; k++, x += s->height * s->width) {
    for (int r = 0; r < s->out_height; r++) {
      for (int c = 0; c < s->out_width; c++) {
        float sum = 0;
        int n = whole ? s->kernel_h * s->kernel_w : 0;
        for (int i = 0; i < s->kernel_h; i++) {
          for (int j = 0; j < s->kernel_w; j++) {
            int row = r * s->stride_h + i - s->top, col = c * s->stride_w + j - s->left;
            if (row < 0 || row >= s->height || col < 0 || col >= s->width) continue;
            sum += x[row * s->width + col];
            n += !whole;
          }
        }
        *y++ = sum / (float)n;
      }
    }
  }
}
]]

m.global_avg_pool = [[
/* The mean of each channel. */
static void global_avg_pool(float *y, const float *x, int channels, int size) {
  for (int k = 0; k < channels; k++, x += size) {
    float sum = 0;
    for (int i = 0; i < size; i++) sum += x[i];
    y[k] = sum / (float)size;
  }
}
]]

m.scale = [[
static void scale(float *x, const float *factor, const float *shift, int channels, int size) {
  for (int k = 0; k < channels; k++, x += size) {
    for (int i = 0; i < size; i++) x[i] = x[i] * factor[k] + shift[k];
  }
}
]]

m.prelu = [[
static void prelu(float *x, const float *slope, int channels, int size) {
  for (int k = 0; k < channels; k++, x += size) {
    for (int i = 0; i < size; i++) x[i] = x[i] > 0 ? x[i] : slope[k] * x[i];
  }
}
]]

m.relu = [[
static void relu(float *x, int n) {
  for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
}
]]

m.leaky_relu = [[
static void leaky_relu(float *x, int n, float slope) {
  for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : slope * x[i];
}
]]

m.elu = [[
static void elu(float *x, int n, float alpha) {
  for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : alpha * expm1f(x[i]);
}
]]

m.gelu = [[
/* x Phi(x), Phi the normal distribution */
static void gelu(float *x, int n) {
  for (int i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.70710678f));
}
]]

m.silu = [[
static void silu(float *x, int n) {
  for (int i = 0; i < n; i++) x[i] = x[i] / (1 + expf(-x[i]));
}
]]

m.sigmoid = [[
static void sigmoid(float *x, int n) {
  for (int i = 0; i < n; i++) x[i] = 1 / (1 + expf(-x[i]));
}
]]

m.tanh = [[
static void tanh_all(float *x, int n) {
  for (int i = 0; i < n; i++) x[i] = tanhf(x[i]);
}
]]

m.softmax = [[
/* Each row of n values: exp(x) / sum of exp(x), with the largest taken off first. */
static void softmax(float *x, int rows, int n) {
  for (; rows > 0; rows--, x += n) {
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) sum += x[i] = expf(x[i] - most);
    for (int i = 0; i < n; i++) x[i] /= sum;
  }
}
]]

m.log_softmax = [[
/* Each row of n values: x - log of the sum of exp(x). */
static void log_softmax(float *x, int rows, int n) {
  for (; rows > 0; rows--, x += n) {
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) sum += expf(x[i] - most);
    for (int i = 0; i < n; i++) x[i] -= most + logf(sum);
  }
}
]]

return m
