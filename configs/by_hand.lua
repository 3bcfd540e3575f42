-- Backpropagation by hand, nothing hidden: the forward pass, the gradients and the update of 784-512-128-64-10 in plain
-- tensor arithmetic. Now and then autograd is asked for the same gradients, and the two must agree.
--
-- configs/own_loop.lua trains the same network with autograd; the weights agree.
local ml = require "mnistlua"
local nn = ml.nn

local p = ml.params {
  lr     = { 0.1, "learning rate of the first epoch", min = 0 },
  decay  = { 0.95, "factor on the learning rate after each epoch", min = 0, max = 1 },
  epochs = { 3, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  n      = { 60000, "training images", min = 1 },
  check  = { 100, "steps between two checks against autograd", min = 1 },
}

-- The model holds the weights and evaluates; training it is up to us. Layer l has weight W[l] (out, in) and bias b[l].
local model = nn.Sequential {
  nn.Flatten(),
  nn.Linear(512), nn.ReLU(),
  nn.Linear(128), nn.ReLU(),
  nn.Linear(64),  nn.ReLU(),
  nn.Linear(10),
}
local layers = 4

-- a[1] is the input, a[l + 1] = relu(a[l] W[l]^T + b[l]), and the last layer has no relu: its outputs are the logits.
local function forward(W, b, x)
  local a = { x:flatten() }
  for l = 1, layers do
    local z = a[l]:matmul(W[l]:t()) + b[l]
    a[l + 1] = l < layers and z:relu() or z
  end
  return a
end

-- Row i of the result is 1 in the column of label y[i] and 0 elsewhere.
local function one_hot(y, classes)
  return y:to("f32"):reshape(-1, 1):eq(ml.arange(classes))
end

-- The mean over the batch of -log p[label], with p = softmax(logits), and its gradient by the logits: (p - onehot) / n.
local function cross_entropy(logits, y)
  local n, classes = logits:size(1), logits:size(2)
  local target = one_hot(y, classes)
  local shifted = logits - logits:max(2, true)          -- exp cannot overflow
  local log_p = shifted - shifted:exp():sum(2, true):log()
  local loss = -(log_p * target):sum() / n
  return loss, (log_p:exp() - target) / n
end

-- dz is the gradient by layer l's output before its relu; each turn of the loop takes it one layer down.
local function backward(W, a, dz)
  local dW, db = {}, {}
  for l = layers, 1, -1 do
    dW[l] = dz:t():matmul(a[l])                          -- (out, n) (n, in)
    db[l] = dz:sum(1)
    if l > 1 then
      local da = dz:matmul(W[l])                         -- (n, out) (out, in)
      dz = da * (1 - a[l]:eq(0))                         -- relu let through what it did not make 0
    end
  end
  return dW, db
end

-- The same gradients by autograd; the largest difference of any element.
local function difference_to_autograd(run, x, y, dW, db)
  model:zero_grad()
  run.loss(model(x), y):backward()
  local worst = 0
  for i, parameter in ipairs(model:parameters()) do
    local l = (i + 1) // 2
    local mine = i % 2 == 1 and dW[l] or db[l]
    worst = math.max(worst, (mine - parameter.grad):abs():max():item())
  end
  return worst
end

local function loop(run)
  local W, b = {}, {}
  for l = 1, layers do
    local linear = model[2 * l]                          -- flatten is 1, the linear layers are 2, 4, 6, 8
    W[l], b[l] = linear.weight:detach(), linear.bias:detach()
  end
  for x, y in run:batches() do
    local a = forward(W, b, x)
    local loss, dz = cross_entropy(a[layers + 1], y)
    local dW, db = backward(W, a, dz)
    if run.step % p.check == 1 or p.check == 1 then
      local worst = difference_to_autograd(run, x, y, dW, db)
      if worst > 1e-6 then error(("step %d: the gradients differ from autograd's by %g"):format(run.step, worst)) end
      if run.step == 1 then run:print(("gradients agree with autograd's: largest difference %.2g"):format(worst)) end
    end
    local lr = p.lr * p.decay ^ (run.epoch - 1)
    for l = 1, layers do
      W[l]:add_(dW[l], -lr)                              -- W = W - lr dW
      b[l]:add_(db[l], -lr)
    end
    run:log { ["train.loss"] = loss:item() }
  end
end

return ml.experiment {
  name   = "by_hand",
  data   = ml.data.mnist { n = p.n },
  model  = model,
  loss   = nn.CrossEntropyLoss(),                        -- for the evaluation and the check
  epochs = p.epochs,
  batch  = p.batch,
  loop   = loop,
}
