-- The machine as the benchmark tells it: processor, instruction set, load, and the peaks that shares are taken of.
local core = require "mnistlua.core"
local facts = require("mnistlua.machine").facts

local m = {}

--- Whether the processor has a feature, by the kernel's name for it ("avx512f").
function m.has(feature)
  for _, name in ipairs(facts().features) do
    if name == feature then return true end
  end
  return false
end

--- Processor, instruction set in use, whether there is AMX, processors that may be used, and the load of this minute.
function m.describe()
  local found = facts()
  return {
    cpu = found.model or "unknown processor", isa = core.isa(), amx = (core.amx()), processors = core.processors(),
    load = found.load, version = core.version,
  }
end

--- FLOP/s that the pool's threads reach between registers at this moment: kind is "f32" (fused multiply-adds of the
--- instruction set in use) or "amx" (bf16). nil where there is no AMX.
function m.peak(kind, threads, seconds)
  return (core.peak { kind = kind, threads = threads, seconds = seconds })
end

return m
