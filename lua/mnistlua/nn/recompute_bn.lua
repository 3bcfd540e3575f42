-- ml.recompute_bn: the running statistics of batch-norm layers estimated anew, over data as it is and with the weights
-- as they are now. Called by scripts after averaging weights, or after training on images that were changed or noisy.
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local options = require "mnistlua.options"

local spec = {
  "model", "data",
  model = { type = "module", required = true }, data = { required = true },
  batch = { type = "integer", default = 1000, min = 2 }, batches = { type = "integer", min = 1 },
}

local function norm_layers(model)
  local layers = {}
  for _, module in ipairs(model:modules()) do
    if module.reset_running_stats and module.track_running_stats then layers[#layers + 1] = module end
  end
  return layers
end

-- Dataset or bundle: its batches, in order, the last one left out if it is a single sample. Anything else must already
-- be an iterator of batches.
local function batches_of(o)
  if dataset.is_dataset(o.data) or dataset.is_bundle(o.data) then
    local batch = math.min(o.batch, #o.data)
    return o.data:batches { batch = batch, drop_last = #o.data % batch == 1 }
  end
  if type(o.data) == "function" then return o.data end
  options.fail("ml.recompute_bn: data: expected a dataset or an iterator of batches, got " .. options.show(o.data))
end

-- Runs f with only the given layers in training, their statistics plain means, and nothing recorded; puts all back.
local function quietly(model, layers, f)
  local modes, momenta, recording = {}, {}, core.recording(false)
  for i, module in ipairs(model:modules()) do modes[i] = { module, module.training } end
  model:eval()
  for i, layer in ipairs(layers) do
    momenta[i] = layer.momentum
    layer:train()
    layer.momentum = "cumulative"
  end
  local ok, problem = xpcall(f, options.located)
  for i, layer in ipairs(layers) do layer.momentum = momenta[i] end
  for _, mode in ipairs(modes) do rawset(mode[1], "training", mode[2]) end
  core.recording(recording)
  if not ok then error(problem, 0) end
end

--- Estimates the running mean and variance of every batch-norm layer of a model anew: ml.recompute_bn(model, data
--- [, { batch = 1000, batches = n }]). data is a dataset (of a bundle the training part), whose images are taken as
--- they are, or an iterator of batches. Everything but these layers runs as in evaluation, so noise is off. Each
--- becomes the mean over all batches, or the first n. Returns the model.
return function(...)
  local o = options.read("ml.recompute_bn", options.gather(...), spec)
  local layers, count = norm_layers(o.model), 0
  if #layers == 0 then return o.model end
  o.model:refuse_unbuilt "recompute_bn"
  local next_batch = batches_of(o)
  for _, layer in ipairs(layers) do layer:reset_running_stats() end
  quietly(o.model, layers, function()
    local more = true
    while more and (not o.batches or count < o.batches) do
      core.scope(function()
        local x = next_batch()
        more = x ~= nil
        if more then o.model(x) end
      end)
      if more then count = count + 1 end
    end
  end)
  if count == 0 then options.fail "ml.recompute_bn: data gave no batch" end
  return o.model
end
