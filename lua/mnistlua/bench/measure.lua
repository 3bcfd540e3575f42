-- Measures mnistlua: each function does its work for about `seconds` after a warm-up and returns how many images (or
-- whole runs) it did a second. The work goes the way a user's does: through the trainer, the model, the data sources.
-- The threads and the precision are whatever is set.
local ml = require "mnistlua"
local core = require "mnistlua.core"
local network = require "mnistlua.bench.network"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"

local m = {}

local quiet = progress.new { quiet = true }
local digits, unit_digits

-- The synthetic digits that stand for MNIST: pixels as bytes, as MNIST's are.
local function images()
  digits = digits or ml.data.digits { n = 20000, test = 10000, seed = 1 }
  return digits
end

-- The notebook's part of them, in 0..1 as there: four fifths of the pixels are zeros.
local function notebook_images()
  unit_digits = unit_digits or ml.data.digits { n = 9000, test = 1, seed = 1, normalise = "unit" }
  return unit_digits
end

local function warm_up(seconds) return seconds / 5 end

local optimizers = {
  sgd = function() return ml.optim.SGD { lr = 0.05 } end,
  momentum = function() return ml.optim.SGD { lr = 0.005, momentum = 0.9 } end,
  adam = function() return ml.optim.Adam { lr = 1e-4 } end,
}

-- An ordinary experiment on a part of the digits. given: batch, shuffle, optimizer ("sgd"), and watch(run), which is
-- called after every step.
local function describe(model, part, given)
  return ml.experiment {
    name = "bench", data = part, model = model, loss = ml.nn.CrossEntropyLoss(),
    optimizer = optimizers[given.optimizer or "sgd"](), batch = given.batch, drop_last = true, shuffle = given.shuffle,
    steps = 1 << 40, on = { batch_end = given.watch },
  }
end

-- Trains for a while; returns steps/s, or nil and the signal that ended it.
local function step_rate(model, part, given, seconds)
  local entered, started, first, rate = core.clock(), nil, nil, nil
  function given.watch(run)
    local now = core.clock()
    if not started then
      if now - entered >= warm_up(seconds) then started, first = now, run.step end
    elseif now - started >= seconds then
      rate = (run.step - first) / (now - started)
      run:stop()
    end
  end
  local run = trainer.prepare(describe(model, part, given), { seed = 0 })
  local count, signal = core.interrupts()
  if count > 0 then return nil, signal end   -- the trainer begins to count anew
  trainer.train(run, { progress = quiet })
  core.hold_signals(true)              -- which the trainer lets go at its end
  if run.interrupted then return nil, run.interrupted end
  return rate
end

local function training_rate(model, batch, optimizer, seconds)
  local given = { batch = batch, shuffle = true, optimizer = optimizer }
  local rate, signal = step_rate(model, images().train, given, seconds)
  return rate and rate * batch, signal
end

--- Training through the trainer, with an optimizer of the list above or plain SGD: images/s.
function m.train(seconds, batch, optimizer) return training_rate(network.new(), batch, optimizer, seconds) end

--- Training of a convolutional network ("lenet5", "cnn"): images/s. Raises where there is no nn.Conv2d.
function m.train_cnn(seconds, name, batch) return training_rate(network.cnns[name](), batch, "sgd", seconds) end

--- The notebook's step, plain descent on 9,000 images at once: steps/s.
function m.notebook(seconds)
  return step_rate(network.new(), notebook_images().train, { batch = 9000, shuffle = false }, seconds)
end

--- A step with next to nothing to compute, layers of width 1 on one image: steps/s.
function m.thin_step(seconds)
  return step_rate(network.thin(), images().train, { batch = 1, shuffle = true }, seconds)
end

-- Calls f() over and over, for the warm-up and then for `seconds`; returns calls/s.
local function repeated(f, seconds)
  local started = core.clock()
  repeat f() until core.clock() - started >= warm_up(seconds)
  local count, passed = 0, 0
  started = core.clock()
  while passed < seconds do
    f()
    count, passed = count + 1, core.clock() - started
  end
  return count / passed
end

-- model(x) on each of `inputs` in turn, as between model:eval() and model:train(): nothing recorded, results let go.
local function forward_rate(model, inputs, seconds)
  local recording, at = core.recording(false), 0
  model:eval()
  local function once()
    at = at % #inputs + 1
    model(inputs[at])
  end
  local rate = repeated(function() core.scope(once) end, seconds)
  core.recording(recording)
  return rate
end

-- Up to 64 batches in memory.
local function inputs_of(batch)
  local list = {}
  for x in images().train:batches { batch = batch, drop_last = true } do
    list[#list + 1] = x:clone()
    if #list * batch >= 4096 or #list == 64 then break end
  end
  return list
end

-- Pictures one by one, from bytes to probabilities, as whoever has a single one does it: images/s.
local function predictor_rate(model, seconds)
  local data = images().train
  local predictor, pictures, at = ml.predictor(model, { shape = { 28, 28 }, normalise = data.normalise }), {}, 0
  for i = 1, 64 do pictures[i] = data[i].image end
  local function once()
    at = at % #pictures + 1
    predictor:probabilities(pictures[at])
  end
  return repeated(function() core.scope(once) end, seconds)
end

--- Inference, model(x) on batches in memory: images/s.
function m.infer(seconds, batch)
  local model = network.new()
  model:build { 28, 28 }
  if batch == 1 then return predictor_rate(model, seconds) end
  return batch * forward_rate(model, inputs_of(batch), seconds)
end

--- A 3x3 convolution, forward, that keeps the picture's size: images/s. Raises where there is no nn.Conv2d.
function m.conv(seconds, batch, channels, outputs, size)
  local layer = ml.nn.Conv2d(channels, outputs, 3, { padding = 1 })
  layer:build { channels, size, size }
  return batch * forward_rate(layer, { core.rand(batch, channels, size, size) }, seconds)
end

--- The trainer's evaluation of 10,000 images, with loss and accuracy: runs/s.
function m.evaluate(seconds)
  local run = trainer.prepare(describe(network.new(), images().train, { batch = 128, shuffle = true }), { seed = 0 })
  return repeated(function() run:evaluate(images().test) end, seconds)
end

--- Reading MNIST's four files into memory: runs/s.
function m.load(seconds)
  local count, spent = 0, 0
  repeat
    local started = core.clock()
    assert(ml.data.mnist())
    count, spent = count + 1, spent + core.clock() - started
    collectgarbage()                   -- gives the images back, as a program's end would
  until spent >= seconds
  return count / spent
end

--- Lets go of the images.
function m.release() digits, unit_digits = nil, nil end

return m
