-- Pooling layers: nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d. Each makes images smaller, channel by channel; none
-- has parameters. Kernel, stride and padding are a number or { h, w }.
local core = require "mnistlua.core"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local window = require "mnistlua.nn.window"

-- ---- windows ----

-- nn.MaxPool2d { 3, 2 } and nn.MaxPool2d({ 3, 2 }) are the same call to Lua.
local function refuse_ambiguous(what, ...)
  local first = ...
  if select("#", ...) ~= 1 or options.kind(first) ~= "table" or first[2] == nil or first[1] == first[2] then return end
  if first[3] == nil and first.kernel_size == nil and next(first, #first) == nil then
    options.fail(("%s: { %s, %s } may be a kernel of h x w, or kernel and stride; write { kernel_size = { h, w } }, or "
      .. "the two as arguments"):format(what, options.show(first[1]), options.show(first[2])))
  end
end

-- window.lua checks the rules that are empty.
local function spec_of(more)
  local spec = { "kernel_size", "stride", "padding", kernel_size = {}, stride = {}, padding = { default = 0 } }
  for name, rule in pairs(more) do spec[name] = rule end
  return spec
end

-- A class whose windows the operation `compute` puts together; `more` are options that it takes besides.
local function define(typename, compute, more)
  local class = Module:extend(typename)
  class.takes_tensor = true
  local spec = spec_of(more)

  function class:init(...)
    refuse_ambiguous(self.typename, ...)
    local o = options.read(self.typename, options.gather(...), spec)
    self.kernel_size = window.pair(self.typename, "kernel_size", o.kernel_size, 1)
    self.stride = o.stride == nil and self.kernel_size or window.pair(self.typename, "stride", o.stride, 1)
    self.padding = window.pair(self.typename, "padding", o.padding, 0)
    self.options = { stride = self.stride, padding = self.padding }
    for name in pairs(more) do self.options[name] = o[name] end
    for axis = 1, 2 do
      if 2 * self.padding[axis] > self.kernel_size[axis] then
        options.fail(("%s: padding is %s; expected at most half of the kernel, %s"):format(self.typename,
          window.text(self.padding), window.text(self.kernel_size)))
      end
    end
  end

  function class:infer(shape)
    local channels, h, w = window.image(shape)
    if not channels then window.refuse_rows(self, shape) end
    local oh, ow = window.output(self, shape, h, w)
    return #shape == 2 and { oh, ow } or { channels, oh, ow }
  end

  function class:forward(x)
    local dims = x:dim()
    if dims ~= 3 and dims ~= 4 then window.refuse_rows(self, x) end
    window.output(self, x, x:size(-2), x:size(-1))
    return compute(x, self.kernel_size, self.options)
  end

  function class:settings()
    local parts, extra = { window.text(self.kernel_size) }, {}
    if window.text(self.stride) ~= parts[1] then extra[1] = "stride = " .. window.text(self.stride) end
    if window.text(self.padding) ~= "0" then extra[#extra + 1] = "padding = " .. window.text(self.padding) end
    for _, name in ipairs(options.sorted_keys(more)) do
      local value = self.options[name]
      if value ~= more[name].default then extra[#extra + 1] = name .. " = " .. tostring(value) end
    end
    if #extra > 0 then parts[2] = "{ " .. table.concat(extra, ", ") .. " }" end
    return table.concat(parts, ", ")
  end

  return class
end

local m = {}

--- The greatest of every window: nn.MaxPool2d(kernel), nn.MaxPool2d(kernel, stride, padding). x [b, c, h, w] gives
--- [b, c, oh, ow], x [b, h, w] gives [b, oh, ow]. Options: stride (the kernel's size), padding (0), which does not
--- count.
m.MaxPool2d = define("nn.MaxPool2d", core.max_pool2d, {})

--- The mean of every window, with the arguments of nn.MaxPool2d. Padding counts as zeros, or with the option
--- count_include_pad = false not at all.
m.AvgPool2d = define("nn.AvgPool2d", core.avg_pool2d, { count_include_pad = { type = "boolean", default = true } })

-- ---- adaptive ----

--- The mean over a fixed number of bins, whatever the image's size: nn.AdaptiveAvgPool2d(1) is the mean of each
--- channel, nn.AdaptiveAvgPool2d { h, w } leaves images of h x w.
local Adaptive = Module:extend "nn.AdaptiveAvgPool2d"
Adaptive.takes_tensor = true
m.AdaptiveAvgPool2d = Adaptive

function Adaptive:init(...)
  local given = options.gather(...)
  if given[2] ~= nil then given = { { given[1], given[2], given[3] } } end
  local o = options.read(self.typename, given, { "output_size", output_size = {} })
  self.output_size = window.pair(self.typename, "output_size", o.output_size, 1)
end

function Adaptive:infer(shape)
  local channels = window.image(shape)
  if not channels then window.refuse_rows(self, shape) end
  local h, w = table.unpack(self.output_size)
  return #shape == 2 and { h, w } or { channels, h, w }
end

function Adaptive:forward(x)
  local dims = x:dim()
  if dims ~= 3 and dims ~= 4 then window.refuse_rows(self, x) end
  return core.adaptive_avg_pool2d(x, self.output_size)
end

function Adaptive:settings() return window.text(self.output_size) end

return m
