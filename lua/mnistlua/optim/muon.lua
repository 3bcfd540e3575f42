-- Muon's step: momentum whose matrix is replaced by the orthogonal matrix nearest to it (Keller Jordan, 2024). Called
-- by the groups of optim.Muon for parameters of two dimensions or more; what has more is seen as [out, rest].
--
--   m = b m + (1 - b) g;  u = (1 - b) g + b m with nesterov, else m
--   X = u / (|u| + 1e-7), transposed if tall;  `ns_steps` times  A = X X^T,  X = a X + (b A + c A A) X
--   w = w (1 - lr weight_decay) - lr sqrt(max(1, rows / cols)) X
--
-- The polynomial brings all singular values near 1 within five rounds.
local core = require "mnistlua.core"

local m = {}

local a, b, c = 3.4445, -4.7750, 2.0315

function m.slots() return { "momentum_buffer" } end

-- The matrix of u with its singular values near 1.
local function orthogonal(u, steps)
  local tall = u.shape[1] > u.shape[2]
  local x = u * (1 / ((u * u):sum():item() ^ 0.5 + 1e-7))
  if tall then x = x:t() end
  for _ = 1, steps do
    local square = x:matmul(x, { transpose_b = true })
    local mix = square:matmul(square):mul_(c):add_(square, b)
    x = mix:matmul(x):add_(x, a)
  end
  return tall and x:t() or x
end

local function move(w, g, buffer, values)
  local shape, momentum = w.shape, values.momentum
  local rows, cols = shape[1], w:numel() // shape[1]
  buffer:mul_(momentum):add_(g, 1 - momentum)
  local u = values.nesterov and (g * (1 - momentum)):add_(buffer, momentum) or buffer
  local x = orthogonal(u:reshape(rows, cols), values.ns_steps)
  if values.weight_decay > 0 then w:mul_(1 - values.lr * values.weight_decay) end
  w:add_(x:reshape(shape), -values.lr * math.max(1, rows / cols) ^ 0.5)
end

--- One step of a group.
function m.step(group)
  local recording = core.recording(false)
  for i, w in ipairs(group.params) do
    if w.grad then core.scope(move, w, w.grad, group._slots[i][1], group._values) end
  end
  core.recording(recording)
end

return m
