// The trained network in the page: decodes the weights that network.lua embeds and computes one picture at a time, in
// plain loops. The draw pad and the report call it. It touches no element of the page and asks nobody for anything.
//
//   const net = network.decode(spec);
//   network.run(net, pixels)    // 784 bytes, 0 background to 255 ink -> { probabilities, outputs, activations }
//
// spec is { input, mean, std, layers }; a layer has kind, name, input and output (shapes of one sample) and what its
// kind needs (lua/mnistlua/export/layers.lua). Weights are whole numbers of 16 bits with one scale for each output;
// sums are in double precision.
"use strict";

const network = (() => {
  // ---- decoding ----

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  function floats(text) {
    if (text === undefined) return null;
    const view = new DataView(bytes(text).buffer);
    return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  // { shape, scales, values } -> Float32Array: row i is values * scales[i].
  function weights(packed) {
    const scales = floats(packed.scales), view = new DataView(bytes(packed.values).buffer);
    const count = view.byteLength / 2, width = count / scales.length, out = new Float32Array(count);
    for (let row = 0, at = 0; row < scales.length; row++) {
      for (const end = at + width; at < end; at++) out[at] = view.getInt16(2 * at, true) * scales[row];
    }
    return out;
  }

  function decode_layer(layer) {
    const decoded = { ...layer };
    if (layer.weight) {
      decoded.weight = weights(layer.weight);
      decoded.weight_shape = layer.weight.shape;
      decoded.bias = floats(layer.bias);
    }
    for (const key of ["scale", "shift"]) if (key in layer) decoded[key] = floats(layer[key]);
    if (layer.kind === "prelu") decoded.slope = floats(layer.slope);
    if (!(layer.kind in kinds)) throw new Error(`network.js knows no layer '${layer.kind}'`);
    return decoded;
  }

  /** A network that run takes, from the spec that network.lua wrote. */
  function decode(spec) {
    return { ...spec, layers: spec.layers.map(decode_layer) };
  }

  // ---- layers: each takes its record and a Float32Array and gives a new one ----

  const product = (shape) => shape.reduce((a, b) => a * b, 1);

  // y = W x + b, W [out, in]
  function linear(layer, x) {
    const { weight, bias } = layer, width = x.length, y = new Float32Array(layer.output[0]);
    for (let o = 0, at = 0; o < y.length; o++) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < width; i++) sum += weight[at++] * x[i];
      y[o] = sum;
    }
    return y;
  }

  // The channels with a border of `filler`: { values, height, width }.
  function padded(layer, x, filler) {
    const [channels, h, w] = layer.input, [top, left, bottom, right] = layer.padding;
    const height = h + top + bottom, width = w + left + right;
    const values = new Float32Array(channels * height * width).fill(filler);
    for (let c = 0; c < channels; c++) {
      for (let r = 0; r < h; r++) {
        values.set(x.subarray((c * h + r) * w, (c * h + r + 1) * w), (c * height + r + top) * width + left);
      }
    }
    return { values, height, width };
  }

  // W [out, in / groups, kh, kw]: for each weight its product with the whole plane that it meets.
  function conv2d(layer, x) {
    const [outs, oh, ow] = layer.output, [, ins, kh, kw] = layer.weight_shape, [sh, sw] = layer.stride;
    const image = padded(layer, x, 0), per_group = outs / layer.groups, y = new Float32Array(outs * oh * ow);
    const sums = new Float64Array(oh * ow);
    for (let o = 0, at = 0; o < outs; o++) {
      sums.fill(layer.bias ? layer.bias[o] : 0);
      const first = Math.floor(o / per_group) * ins;
      for (let c = first; c < first + ins; c++) {
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++, at++) {
            const weight = layer.weight[at];
            for (let r = 0; r < oh; r++) {
              let from = (c * image.height + r * sh + i) * image.width + j;
              for (let k = r * ow; k < (r + 1) * ow; k++, from += sw) sums[k] += weight * image.values[from];
            }
          }
        }
      }
      y.set(sums, o * oh * ow);
    }
    return y;
  }

  // Calls combine(values, count of those inside the picture) for each window of each channel.
  function pool(layer, x, filler, combine) {
    const [channels, oh, ow] = layer.output, [, h, w] = layer.input, [top, left] = layer.padding;
    const [kh, kw] = layer.size, [sh, sw] = layer.stride, image = padded(layer, x, filler);
    const y = new Float32Array(channels * oh * ow), seen = new Float32Array(kh * kw);
    for (let c = 0, at = 0; c < channels; c++) {
      for (let r = 0; r < oh; r++) {
        for (let k = 0; k < ow; k++, at++) {
          let inside = 0;
          for (let i = 0; i < kh; i++) {
            for (let j = 0; j < kw; j++) {
              const row = r * sh + i, column = k * sw + j;
              seen[i * kw + j] = image.values[(c * image.height + row) * image.width + column];
              if (row >= top && row < top + h && column >= left && column < left + w) inside++;
            }
          }
          y[at] = combine(seen, inside);
        }
      }
    }
    return y;
  }

  const total = (values) => values.reduce((a, b) => a + b, 0);

  const average = (layer, x) =>
    pool(layer, x, 0, (seen, inside) => total(seen) / (layer.count_include_pad === false ? inside : seen.length));

  // The mean of each channel.
  function global_average(layer, x) {
    const channels = layer.input[0], area = x.length / channels;
    return Float32Array.from({ length: channels }, (_, c) => total(x.subarray(c * area, (c + 1) * area)) / area);
  }

  // f(value, channel) for each element; the channels are the first dimension.
  function by_channel(layer, x, f) {
    const area = x.length / layer.input[0];
    return x.map((value, i) => f(value, Math.floor(i / area)));
  }

  // Of the last dimension.
  function softmax(layer, x, log) {
    const width = layer.output[layer.output.length - 1], y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      const row = x.subarray(start, start + width), most = row.reduce((a, b) => Math.max(a, b), -Infinity);
      let sum = 0;
      for (const value of row) sum += Math.exp(value - most);
      for (let i = 0; i < width; i++) {
        y[start + i] = log ? row[i] - most - Math.log(sum) : Math.exp(row[i] - most) / sum;
      }
    }
    return y;
  }

  // The error function, to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
  }

  const sigmoid = (v) => 1 / (1 + Math.exp(-v));
  const each = (f) => (layer, x) => x.map((value) => f(value, layer));

  const kinds = {
    linear, conv2d,
    max_pool2d: (layer, x) => pool(layer, x, -Infinity, (seen) => Math.max(...seen)),
    avg_pool2d: average,
    global_avg_pool: global_average,
    scale: (layer, x) => by_channel(layer, x, (v, c) => v * layer.scale[c] + layer.shift[c]),
    prelu: (layer, x) => by_channel(layer, x, (v, c) => (v < 0 ? v * layer.slope[layer.slope.length > 1 ? c : 0] : v)),
    relu: each((v) => Math.max(v, 0)),
    leaky_relu: each((v, layer) => (v < 0 ? v * layer.slope : v)),
    elu: each((v, layer) => (v < 0 ? layer.alpha * Math.expm1(v) : v)),
    gelu: each((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
    silu: each((v) => v * sigmoid(v)),
    sigmoid: each(sigmoid),
    tanh: each(Math.tanh),
    softmax: (layer, x) => softmax(layer, x, false),
    log_softmax: (layer, x) => softmax(layer, x, true),
    flatten: (layer, x) => x,
    reshape: (layer, x) => x,
  };

  // ---- the whole ----

  // What the last layer gives as shares of one.
  function shares(last, outputs) {
    if (last.kind === "softmax") return outputs;
    if (last.kind === "log_softmax") return outputs.map(Math.exp);
    return softmax({ output: [outputs.length] }, outputs, false);
  }

  /** What the network makes of one picture. activations: { name, kind, shape, values } of every layer, in order. */
  function run(net, pixels) {
    if (pixels.length !== product(net.input)) {
      throw new Error(`expected ${product(net.input)} pixels, got ${pixels.length}`);
    }
    let x = Float32Array.from(pixels, (byte) => (byte / 255 - net.mean) / net.std);
    const activations = net.layers.map((layer) => {
      x = kinds[layer.kind](layer, x);
      return { name: layer.name, kind: layer.kind, shape: layer.output, values: x };
    });
    return { probabilities: shares(net.layers[net.layers.length - 1], x), outputs: x, activations };
  }

  return { decode, run, bytes };
})();
