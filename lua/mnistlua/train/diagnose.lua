-- Finds where a run went wrong: the first layer whose output, or the first parameter, is not finite.
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local options = require "mnistlua.options"

local m = {}

--- The name of the first parameter that holds NaN or infinity, or nil.
function m.bad_parameter(model)
  for _, entry in ipairs(model:named_parameters()) do
    local name, parameter = entry[1], entry[2]
    if not parameter:isfinite() then return name end
  end
end

-- Runs the model once more on x and returns the name of the first leaf module whose output is not finite.
local function bad_layer(model, x)
  local found, wrapped = nil, {}
  for _, entry in ipairs(model:named_modules()) do
    local name, module = entry[1], entry[2]
    if #module:children() == 0 then
      local forward = module.forward
      wrapped[#wrapped + 1] = { module = module, own = rawget(module, "forward") }
      rawset(module, "forward", function(self, ...)
        local y = forward(self, ...)
        if not found and options.kind(y) == "tensor" and y.dtype == "f32" and not y:isfinite() then
          found = ("%s (%s)"):format(name ~= "" and name or "model", tostring(self))
        end
        return y
      end)
    end
  end
  local before = core.recording(false)
  pcall(model, x)
  core.recording(before)
  for _, w in ipairs(wrapped) do rawset(w.module, "forward", w.own) end
  return found
end

--- The error that ends a diverged run: step, loss, and the place where the numbers stop being numbers. It is a table
--- with a `message`, so that the command line can tell it from a failure.
function m.diverged(run, value)
  local place
  local x = run.batch_x
  local layer = x and x:isfinite() and bad_layer(run.model, x)
  local parameter = m.bad_parameter(run.model)
  if x and not x:isfinite() then
    place = "the batch itself holds NaN or infinity"
  elseif parameter then
    local seen = layer and ", first seen in the output of layer " .. layer or ""
    place = ("parameter %s is no longer finite%s"):format(parameter, seen)
  elseif layer then
    place = ("the output of layer %s is the first that is not finite"):format(layer)
  else
    place = "every layer's output is finite, the loss is not"
  end
  local message = ("%sdiverged at step %d (epoch %d): the loss is %s; %s%s")
    :format(core.where(), run.step, run.epoch, value ~= value and "nan" or tostring(value), place, run.optimizer
      and (". The learning rate is %.4g: try a smaller one"):format(run.optimizer.lr) or "")
  return failure.new("diverged", message)
end

return m
