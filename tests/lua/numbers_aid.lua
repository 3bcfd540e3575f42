-- Shared by the tests of layers, optimizers and schedules: golden numbers, comparing tensors, following an optimizer or
-- a schedule.
local core = require "mnistlua.core"
local lu = require "luaunit"
local nn = require "mnistlua.nn"

local m = {}

local tests = debug.getinfo(1, "S").source:match "^@(.*)lua/[^/]*$" or "tests/"

--- The table in tests/golden/NAME.lua.
function m.golden(name) return dofile(tests .. "golden/" .. name .. ".lua") end

--- Every |actual - expected| <= tolerance (1 + |expected|); expected is a number or a nested list.
function m.assert_close(what, actual, expected, tolerance)
  local a, e = actual:reshape(-1):totable(), core.tensor(expected):reshape(-1):totable()
  lu.assertEquals(#a, #e, what)
  for i, value in ipairs(e) do
    local near = math.abs(a[i] - value) <= tolerance * (1 + math.abs(value)) -- a NaN is not
    if not near then lu.fail(("%s: element %d is %.9g, expected %.9g"):format(what, i, a[i], value)) end
  end
end

--- One parameter that the gradients of a list move. Returns its values after each.
function m.follow(optimizer_of, start, gradients)
  local w = nn.Parameter(core.tensor(start))
  local optimizer, values = optimizer_of { w }, {}
  for i, g in ipairs(gradients) do
    w.grad = nil
    (w * core.tensor(g)):sum():backward()
    optimizer:step()
    values[i] = w:reshape(-1):totable()
  end
  return values, optimizer, w
end

--- A schedule's values at every step of a run.
function m.schedule_values(f, epochs, per_epoch)
  local list, total = {}, epochs * per_epoch
  for step = 0, total - 1 do
    list[step + 1] = f(step, step / total, {
      epoch = step // per_epoch, epoch_progress = step % per_epoch / per_epoch, steps_per_epoch = per_epoch,
      total_steps = total,
    })
  end
  return list
end

return m
