-- nn.Flatten: images as rows of pixels.
local Module = require "mnistlua.nn.module"
local flow = require "mnistlua.nn.flow"

--- Turns every sample into one row: x [b, d1, d2, ...] -> [b, d1 * d2 * ...].
local Flatten = Module:extend "nn.Flatten"
Flatten.takes_tensor, Flatten.transparent = true, true

function Flatten.forward(_, x) return x:flatten() end

function Flatten.infer(_, shape) return { flow.count(shape) } end

return Flatten
