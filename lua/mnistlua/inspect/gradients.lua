-- The gradients of a whole model against central differences of its loss. For each parameter tensor w with gradient g
-- directions v are tried: g / |g|, in which the loss has to rise by |g|, and random ones, in which it has to rise by
-- g.v, until two agree or two do not. Single precision leaves about seven digits of the loss L, so that a step h tells
-- a slope to within e = 4 * 2^-23 |L| / h; only steps where e is small beside the slope count. Kinks (ReLU, pooling)
-- spoil long steps, so shorter ones are tried, too; a difference that shrinks with the step is theirs, one that stays
-- is the gradient's. Called by `mnistlua check`; the weights are as before afterwards.
local core = require "mnistlua.core"

local m = {}

local close, shrinking = 0.05, 0.2           -- how much of |g| a slope may be off; and if that halved on the way
local epsilon = 4 * 2.0 ^ -23
local factors = { 1, 1 / 4, 1 / 16, 1 / 64 }   -- of the longest step

-- Random numbers of the core (dropout) are those of step 1 in every pass.
local function pass(probe, f)
  core.step_begin(1, 1)
  local result = f(probe.loss(probe.model(probe.x), probe.y))
  core.step_end()
  return result
end

local function loss_now(probe)
  local before = core.recording(false)
  local value = pass(probe, function(loss) return loss:item() end)
  core.recording(before)
  return value
end

local function take_gradients(probe, parameters)
  probe.model:zero_grad()
  pass(probe, function(loss) loss:backward() end)
  local list = {}
  for i, entry in ipairs(parameters) do
    local g = entry[2].grad
    list[i] = g and g:clone() or false
  end
  probe.model:zero_grad()
  return list
end

local function dot(a, b) return core.scope(function() return (a * b):sum():item() end) end

local function slope(probe, w, values, v, h)
  w:add_(v, h)
  local above = loss_now(probe)
  w:copy_(values)
  w:add_(v, -h)
  local below = loss_now(probe)
  w:copy_(values)
  return (above - below) / (2 * h)
end

-- One direction: "ok", "wrong" or "flat" (no step could tell), and the slope found last. expected: g.v; scale: |g|,
-- what the difference is compared with.
local function try(probe, w, values, v, longest, expected, scale)
  local first, off, found
  for _, factor in ipairs(factors) do
    local h = longest * factor
    local noise, numeric = epsilon * math.abs(probe.value) / h, slope(probe, w, values, v, h)
    if noise <= 0.2 * math.max(scale, math.abs(numeric)) then
      off, found = math.abs(numeric - expected), numeric
      if off <= close * scale + noise then return "ok", numeric end
      first = first or off
    end
  end
  if not found then return "flat" end
  return off <= shrinking * scale and off <= 0.5 * first and "ok" or "wrong", found
end

-- Steps change the loss by half a per cent, and each weight by no more than 5% of a usual one.
local function longest_step(probe, w, size)
  local usual = math.max(math.sqrt(dot(w, w) / w:numel()), 0.05)
  return math.min(0.05 * usual, 0.005 * math.abs(probe.value) / math.max(size, 1e-30))
end

-- Random directions until two verdicts are the same; the slopes are those of the last.
local function try_random(probe, w, values, g, each, size)
  local times = { ok = 0, wrong = 0, flat = 0 }
  while true do
    local v = core.randn(w.shape)
    local expected = g and dot(g, v) or 0
    local verdict, found = try(probe, w, values, v, each, expected, size)
    times[verdict] = times[verdict] + 1
    if times[verdict] == 2 then return { verdict = verdict, expected = expected, found = found } end
  end
end

-- A gradient that is nil counts as zeros: the loss must not depend on the tensor.
local function check_tensor(probe, w, g)
  local recording = core.recording(false)
  local values, size = w:clone(), g and math.sqrt(dot(g, g)) or 0
  local each, r = longest_step(probe, w, size), nil
  if size > 0 and size < math.huge then
    local verdict, found = try(probe, w, values, (g * (1 / size)):clone(), math.min(each * math.sqrt(w:numel()),
      0.005 * math.abs(probe.value) / size), size, size)
    r = { verdict = verdict, expected = size, found = found }
  end
  if not r or r.verdict ~= "wrong" then
    local random = try_random(probe, w, values, g, each, size)
    if not r or random.verdict ~= "flat" then r = random end
  end
  core.recording(recording)
  r.missing = not g
  return r
end

-- At most `most` of a list, evenly over it.
local function spread(list, most)
  if #list <= most then return list end
  local some = {}
  for i = 1, most do some[i] = list[1 + (i - 1) * (#list - 1) // (most - 1)] end
  return some
end

local function trainable(model)
  local list = {}
  for name, w in model:named_parameters() do
    if w.requires_grad then list[#list + 1] = { name, w } end
  end
  return list
end

--- Checks model and loss on a batch x, y that must stay as it is. It ends after `seconds`. Returns a list of { name,
--- verdict, expected, found, missing }, and how many tensors there are; or nil and why nothing can be said.
function m.check(model, loss, x, y, seconds)
  local probe, before = { model = model, loss = loss, x = x, y = y }, core.precision "f32"
  local started, list, all = core.clock(), {}, trainable(model)
  model:train()
  probe.value = loss_now(probe)
  local same = probe.value == loss_now(probe)
  local some = same and spread(all, 24) or {}
  local gradients = take_gradients(probe, some)
  for i, entry in ipairs(some) do
    if core.clock() - started > seconds then break end
    list[i] = check_tensor(probe, entry[2], gradients[i])
    list[i].name = entry[1]
  end
  core.precision(before)
  if same or #all == 0 then return list, #all end
  return nil, "two passes with the same weights give two losses"
end

return m
