-- What is measured: the list of workloads in the order they are run and shown. A workload is one kind of work with its
-- size; each of its variants (precision, threads) is a row of the table, and its peers do the same work in turn with
-- them. Pure data: how the work is done is in measure.lua and in tests/bench/peers.py.
local network = require "mnistlua.bench.network"

local m = {}

--- The groups that can be asked for by name, in order.
m.groups = { "train", "cnn", "inference", "conv", "evaluation", "loading", "notebook" }

local conv = { channels = 32, outputs = 64, size = 14 }

-- Members of a workload:
--   group, id, label    where it belongs; part of a row's id; how the row is called
--   work                the function of measure.lua and its arguments after the seconds
--   request             the same for the peers (peers.py); `only` names the libraries that are asked, if not all
--   show                "images" (images/s), "us" (an image) or "ms" (a run)
--   flops               of an image or run, if arithmetic is all it is
--   images              of a run, where a run is counted
--   slow                left out in bf16 where that is emulated
--   plain               hardly computes, so that precision and threads make no rows
local function train(batch)
  return {
    group = "train", id = "train-" .. batch, label = "batch " .. batch, work = { "train", batch },
    request = { "train", batch }, show = "images", flops = network.training_flops, slow = batch ~= 128,
  }
end

-- The same steps with an optimizer that keeps more than the weights.
local function optimizer(name, label)
  return {
    group = "train", id = "train-128-" .. name, label = "batch 128, " .. label, work = { "train", 128, name },
    request = { "train", 128, name }, only = { torch = true }, show = "images", flops = network.training_flops,
    slow = true,
  }
end

local function cnn(name, batch)
  return {
    group = "cnn", id = "cnn-" .. name, label = ("%s, batch %d"):format(name, batch),
    work = { "train_cnn", name, batch }, request = { "train_cnn", name, batch }, show = "images",
    flops = network.cnn_training_flops[name], slow = true,
  }
end

-- What a step costs besides arithmetic: the trainer, Lua, the operations' own work.
local own_cost = {
  group = "train", id = "step", label = "a step's own cost", work = { "thin_step" }, only = {}, show = "us",
  plain = true,
}

local function inference(batch)
  return {
    group = "inference", id = "inference-" .. batch, label = batch == 1 and "one image" or "batch " .. batch,
    work = { "infer", batch }, request = { "infer", batch }, show = batch == 1 and "us" or "images",
    flops = network.forward_flops, slow = batch ~= 128,
  }
end

local function convolution(batch)
  local arguments = { batch, conv.channels, conv.outputs, conv.size }
  return {
    group = "conv", id = "conv-" .. batch, label = ("3x3, 32 -> 64, %dx%d"):format(conv.size, conv.size),
    work = { "conv", table.unpack(arguments) }, request = { "conv", table.unpack(arguments) }, show = "images",
    flops = network.conv_flops(conv),
  }
end

local evaluation = {
  group = "evaluation", id = "evaluation", label = "10,000 images", work = { "evaluate" }, request = { "evaluate" },
  show = "ms", flops = 10000 * network.forward_flops, slow = true,
}

local function notebook(id, label, request, only)
  return {
    group = "notebook", id = id, label = label, work = { "notebook" }, request = request, only = only, show = "ms",
    flops = 9000 * network.training_flops, slow = true,
  }
end

local function loading(paths)
  local zipped = paths[1]:find "%.gz$"
  return {
    group = "loading", id = "loading", label = zipped and "MNIST's .gz files" or "MNIST's files", work = { "load" },
    request = { "load", table.unpack(paths) }, only = { numpy = true }, show = "ms", plain = true,
  }
end

local function candidates(given)
  local list = {}
  local function add(workload) list[#list + 1] = workload end
  for _, batch in ipairs(given.quick and { 128 } or { 64, 128, 256, 1024 }) do add(train(batch)) end
  if not given.quick then
    add(optimizer("momentum", "momentum"))
    add(optimizer("adam", "Adam"))
  end
  add(own_cost)
  if given.conv and (given.groups or not given.quick) then
    add(cnn("lenet5", 128))
    add(cnn("cnn", 256))
  end
  for _, batch in ipairs(given.quick and { 1, 128 } or { 1, 128, 1024 }) do add(inference(batch)) end
  if given.conv then add(convolution(128)) end
  add(evaluation)
  if given.mnist then add(loading(given.mnist)) end
  if not given.quick or given.groups then
    add(notebook("notebook", "one step", { "notebook", "f32" }))
    add(notebook("notebook-f64", "one step; NumPy in f64", { "notebook", "f64" }, { numpy = true }))
  end
  return list
end

-- Precision and threads of each row; one number of threads where they make no difference or the work is long.
local function variants(workload, given)
  local list = {}
  local counts = given.threads > 1 and { 1, given.threads } or { 1 }
  if workload.plain or workload.group == "notebook" then counts = { given.threads } end
  local precisions = { "f32" }
  local emulated_too = given.bf16 == "emulated" and not workload.slow
  if not workload.plain and (given.bf16 == "fast" or emulated_too) then precisions[2] = "bf16" end
  for _, precision in ipairs(precisions) do
    for _, threads in ipairs(counts) do
      list[#list + 1] = {
        id = ("%s-%s-%d"):format(workload.id, precision, threads), workload = workload, threads = threads,
        precision = precision, emulated = precision == "bf16" and given.bf16 == "emulated",
        peak = precision == "bf16" and "amx" or "f32",
      }
    end
  end
  return list
end

--- The workloads with their variants. given: threads (the most that are used), bf16 ("fast", "emulated" or nil), mnist
--- (the paths of its files, or nil), conv (whether there are convolutions), quick (fewer sizes, and no other
--- optimizers; no CNN and no step of the notebook unless they are asked for), groups (a set of names, or nil for all).
function m.list(given)
  local list = {}
  for _, workload in ipairs(candidates(given)) do
    if not given.groups or given.groups[workload.group] then
      workload.variants = variants(workload, given)
      list[#list + 1] = workload
    end
  end
  return list
end

return m
