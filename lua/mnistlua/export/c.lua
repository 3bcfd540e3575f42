-- A list of layers (layers.lua) as one C99 file that needs no more than libm: weights as hexadecimal floats, which are
-- exact, a function from pixels to probabilities, and a test of itself behind -DSELFTEST. Called by `mnistlua export
-- --c`. The functions that it is made of are in c_functions.lua.
local c_functions = require "mnistlua.export.c_functions"
local core = require "mnistlua.core"
local numbers = require "mnistlua.export.numbers"

local m = {}

local most_on_stack = 1 << 20   -- bytes; larger networks compute in static memory
local count = numbers.count

-- ---- text ----

-- What may stand in a comment or a string, whatever the model is called.
local function plain(text)
  return (text:gsub("[^\32-\126]", "?"):gsub("[\\\"?]", "."):gsub("%*/", "* /"):gsub("/%*", "/ *"))
end

-- A C string's content: bytes beyond ASCII as three octal digits, which no character behind them can prolong.
local function quoted(text)
  return '"' .. text:gsub("[^%w ]", function(char) return ("\\%03o"):format(char:byte()) end) .. '"'
end

local function float(x) return x == 0 and "0" or ("%af"):format(string.unpack("<f", string.pack("<f", x))) end

-- Values in lines of `width`.
local function lines_of(values, width, show)
  local texts, lines = {}, {}
  for i, value in ipairs(values) do texts[i] = show(value) end
  for i = 1, #texts, width do
    lines[#lines + 1] = "  " .. table.concat(texts, ", ", i, math.min(i + width - 1, #texts)) .. ","
  end
  return table.concat(lines, "\n")
end

-- ---- a file being put together ----

-- Fields: name (what its functions begin with), weights, steps (C texts), used (names of weights, a set), kinds (the
-- functions needed, a set), now (the array that holds the layer's input, a or b), crossed (whether b is used), largest
-- (how many floats an array holds).
local File = {}
File.__index = File

-- "weight_3_1" for the layer "3.1".
function File:unused(role, layer)
  local name = (role .. "_" .. layer.name):gsub("[^%w_]", "_")
  while self.used[name] do name = name .. "_" end
  self.used[name] = true
  return name
end

-- A table of weights; returns its C name, or NULL for none.
function File:weight(layer, role, tensor)
  if not tensor then return "NULL" end
  local name = self:unused(role, layer)
  self.weights[#self.weights + 1] = ("/* %s */\nstatic const float %s[%d] = {\n%s\n};\n"):format(
    table.concat(tensor.shape, " x "), name, tensor:numel(), lines_of(numbers.list(tensor), 6, float))
  return name
end

function File:step(fmt, ...) self.steps[#self.steps + 1] = "  " .. fmt:format(...) .. ";" end

-- A layer that writes another array than it reads.
function File:across(layer, fmt, ...)
  local from, to = self.now, self.now == "a" and "b" or "a"
  self:step(layer.kind .. "(" .. to .. ", " .. from .. fmt .. ")", ...)
  self.now, self.crossed = to, true
end

-- One that works in place.
function File:inside(called, fmt, ...) self:step(called .. "(" .. self.now .. fmt .. ")", ...) end

local function channels_and_size(layer) return layer.input[1], count(layer.input) // layer.input[1] end

local function window(layer, kernel)
  local input, output, padding = layer.input, layer.output, layer.padding
  return ("&(const window){ %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d }"):format(input[1], input[2], input[3],
    output[1], output[2], output[3], kernel[1], kernel[2], layer.stride[1], layer.stride[2], padding[1], padding[2],
    layer.groups or 1)
end

local add = {}

function add.linear(file, layer)
  file:across(layer, ", %s, %s, %d, %d", file:weight(layer, "weight", layer.weight),
    file:weight(layer, "bias", layer.bias), layer.input[1], layer.output[1])
end

function add.conv2d(file, layer)
  local shape = layer.weight.shape
  file:across(layer, ", %s, %s, %s", file:weight(layer, "weight", layer.weight), file:weight(layer, "bias", layer.bias),
    window(layer, { shape[3], shape[4] }))
end

function add.max_pool2d(file, layer) file:across(layer, ", %s", window(layer, layer.size)) end

function add.avg_pool2d(file, layer)
  file:across(layer, ", %d, %s", layer.count_include_pad and 1 or 0, window(layer, layer.size))
end

function add.global_avg_pool(file, layer) file:across(layer, ", %d, %d", channels_and_size(layer)) end

function add.scale(file, layer)
  file:inside("scale", ", %s, %s, %d, %d", file:weight(layer, "scale", layer.scale),
    file:weight(layer, "shift", layer.shift), channels_and_size(layer))
end

function add.prelu(file, layer)
  local channels, size = channels_and_size(layer)
  if layer.slope:numel() == 1 then channels, size = 1, channels * size end
  file:inside("prelu", ", %s, %d, %d", file:weight(layer, "slope", layer.slope), channels, size)
end

function add.leaky_relu(file, layer) file:inside("leaky_relu", ", %d, %s", count(layer.input), float(layer.slope)) end

function add.elu(file, layer) file:inside("elu", ", %d, %s", count(layer.input), float(layer.alpha)) end

for kind, called in pairs { relu = "relu", gelu = "gelu", silu = "silu", sigmoid = "sigmoid", tanh = "tanh_all" } do
  add[kind] = function(file, layer) file:inside(called, ", %d", count(layer.input)) end
end

for _, kind in ipairs { "softmax", "log_softmax" } do
  add[kind] = function(file, layer)
    local n = layer.output[#layer.output]
    file:inside(kind, ", %d, %d", count(layer.output) // n, n)
  end
end

-- The floats lie in memory as they did.
function add.flatten() end
add.reshape = add.flatten

-- ---- the parts of the text ----

-- The layers but a softmax at the end: the probabilities are computed from what is before it.
local function without_softmax(list)
  local last = list[#list].kind
  if last ~= "softmax" and last ~= "log_softmax" then return list end
  return table.move(list, 1, #list - 1, 1, {})
end

local function add_layers(file, list)
  for _, layer in ipairs(list) do
    if not add[layer.kind] then
      return nil, ("%s (layer '%s') cannot be written as C"):format(layer.kind, layer.name)
    end
    add[layer.kind](file, layer)
    file.kinds[layer.kind] = true
    if layer.padding then file.kinds.window = true end
    file.largest = math.max(file.largest, count(layer.output))
  end
  return true
end

local order = {
  "window", "linear", "conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool", "scale", "prelu", "relu", "leaky_relu",
  "elu", "gelu", "silu", "sigmoid", "tanh", "log_softmax", "softmax",
}

local function functions(file)
  local parts = {}
  for _, kind in ipairs(order) do
    if file.kinds[kind] then parts[#parts + 1] = c_functions[kind] end
  end
  return table.concat(parts, "\n")
end

local head = [[
/* ${title}: a network of ${parameters} parameters that mnistlua ${version} trained, as C99 without dependencies.
 *
 *   cc -O2 -c ${file}                                 compile it (link with -lm)
 *   cc -O2 -DSELFTEST ${file} -lm && ./a.out          compare it with what mnistlua computed
 *
 * ${memory} */
#include <math.h>
#include <stddef.h>

/* Gives the probabilities of the ${classes} classes for a picture of ${shape} pixels, 0 to 255, row by row, and returns
 * the most probable class. */
int ${name}_classify(const unsigned char pixels[${n}], float probabilities[${classes}]);

/* The same for pixels from 0 to 1. */
int ${name}_classify_values(const float values[${n}], float probabilities[${classes}]);
]]

local body = [[
int ${name}_classify_values(const float values[${n}], float probabilities[${classes}]) {
  ${storage}float a[${largest}]${other};
  for (int i = 0; i < ${n}; i++) a[i] = (values[i] - ${mean}) / ${std};
${steps}
  softmax(${now}, 1, ${classes});
  int best = 0;
  for (int i = 0; i < ${classes}; i++) {
    probabilities[i] = ${now}[i];
    if (${now}[i] > ${now}[best]) best = i;
  }
  return best;
}

int ${name}_classify(const unsigned char pixels[${n}], float probabilities[${classes}]) {
  float values[${n}];
  for (int i = 0; i < ${n}; i++) values[i] = (float)pixels[i] / 255;
  return ${name}_classify_values(values, probabilities);
}
]]

local self_test = [[
#ifdef SELFTEST
#include <stdio.h>

enum { TESTS = ${tests} };

/* Pictures, and the probabilities that mnistlua computed for them. */
static const unsigned char test_pixels[TESTS][${n}] = {
${pixels}
};

static const float test_probabilities[TESTS][${classes}] = {
${probabilities}
};

int main(void) {
  float got[${classes}], largest = 0;
  int right = 0;
  for (int t = 0; t < TESTS; t++) {
    const float *want = test_probabilities[t];
    int class = ${name}_classify(test_pixels[t], got), best = 0, same = 1;
    for (int i = 0; i < ${classes}; i++) {
      float distance = fabsf(got[i] - want[i]);
      if (want[i] > want[best]) best = i;
      if (!(distance < 1e-4f)) same = 0;
      if (distance > largest) largest = distance;
    }
    right += same && class == best;
  }
  printf("${name}: %d of %d pictures as mnistlua, largest difference of a probability %.2g\n", right, TESTS, largest);
  return right == TESTS ? 0 : 1;
}
#endif
]]

local function fill(template, values) return (template:gsub("%${(%l+)}", values)) end

-- The rows of a tensor, each in braces.
local function rows(tensor, width, show)
  local parts = {}
  for i = 1, tensor:size(1) do parts[i] = "  {\n" .. lines_of(numbers.list(tensor[i]), width, show) .. "\n  }," end
  return table.concat(parts, "\n")
end

-- ---- the whole ----

-- The names of the classes, where there are any.
local function class_names(name, names)
  if not names then return "" end
  local texts = {}
  for i, text in ipairs(names) do texts[i] = quoted(text) end
  local declared = ("const char *const %s_class_names[%d]"):format(name, #names)
  return ("/* The classes' names. */\nextern %s;\n%s = {\n%s\n};\n\n"):format(declared, declared,
    lines_of(texts, 4, tostring))
end

local function memory(largest)
  local bytes = 8 * largest
  if bytes <= most_on_stack then return ("It takes %d KiB of stack, and any threads may call it at once."):format(
    bytes // 1024 + 1) end
  return ("It computes in %d KiB of static memory: one thread may call it at a time."):format(bytes // 1024 + 1)
end

-- A picture's row in a line, where it is as short as those of digits.
local function line_width(shape) return shape[#shape] <= 32 and shape[#shape] or 24 end

local function values_of(file, subject, path)
  local vectors, n = subject.vectors, count(subject.shape)
  return {
    title = plain(subject.name), parameters = subject.parameters, version = core.version, file = plain(path),
    memory = memory(file.largest), name = file.name, classes = count(subject.layers[#subject.layers].output), n = n,
    shape = table.concat(subject.shape, " x "), storage = 8 * file.largest > most_on_stack and "static " or "",
    largest = file.largest, other = file.crossed and (", b[%d]"):format(file.largest) or "",
    mean = float(subject.normalise[1]), std = float(subject.normalise[2]),
    steps = table.concat(file.steps, "\n"), now = file.now, tests = vectors.pixels:size(1),
    pixels = rows(vectors.pixels:reshape(-1, n), line_width(subject.shape), tostring),
    probabilities = rows(vectors.probabilities, 5, float),
  }
end

-- What the functions are called: by the file's name, if that can be a name in C.
local function identifier(path)
  local name = path:match "([^/]*)$":gsub("%.%w*$", ""):gsub("[^%w_]", "_")
  return name:find "^%a" and name or "model"
end

--- The text of the C file that is to be written to `path`, and what its functions' names begin with; or nil and why
--- there is none. subject: name, shape, normalise, layers, parameters (how many), class_names or nil, vectors { pixels
--- u8 [n, ...], probabilities [n, classes] }.
function m.text(subject, path)
  local file = setmetatable({
    name = identifier(path), weights = {}, used = {}, steps = {}, kinds = { softmax = true }, now = "a",
    largest = count(subject.shape),
  }, File)
  local ok, problem = add_layers(file, without_softmax(subject.layers))
  if not ok then return nil, problem end
  local values = values_of(file, subject, path:match "[^/]*$")
  return table.concat {
    fill(head, values), "\n", class_names(file.name, subject.class_names), "/* ---- layers ---- */\n\n",
    functions(file), "\n/* ---- weights ---- */\n\n", table.concat(file.weights, "\n"),
    "\n/* ---- the network ---- */\n\n", fill(body, values), "\n", fill(self_test, values),
  }, file.name
end

return m
