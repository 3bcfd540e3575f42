-- The weights of a source (cli/source.lua) as a safetensors file with PyTorch's names, whatever it came from: a run, a
-- file of weights, a checkpoint. Called by `mnistlua export`. The metadata keeps what mnistlua knows of the model, so
-- that the file is as good a MODEL as the run's own.
local core = require "mnistlua.core"
local described = require "mnistlua.data.described"

local m = {}

-- What a file of weights would say, from what a checkpoint does.
local function of_checkpoint(source)
  local entries = { format = "pt" }
  local function entry(name, value) entries["mnistlua." .. name] = value ~= nil and tostring(value) or nil end
  for _, name in ipairs { "version", "seed", "isa", "precision", "stand_in", "data_hash", "steps" } do
    entry(name, source[name])
  end
  entry("config", source.config_text)
  for name, text in pairs(source.overrides) do entry("param." .. name, text) end
  return entries
end

local function of_file(source)
  local tensors, metadata = core.safetensors_read(source.path)
  if not tensors then return nil, metadata end
  metadata.format = "pt"
  return metadata
end

--- The bytes of the file, for the source's model and its data (a bundle). nil and a message if the source's file can no
--- longer be read.
function m.bytes(model, source, data)
  local metadata, problem
  if source.checkpoint then metadata = of_checkpoint(source) else metadata, problem = of_file(source) end
  if not metadata then return nil, problem end
  if not described.read(metadata) then
    for name, text in pairs(described.entries(data)) do metadata[name] = text end
  end
  return core.safetensors_encode(model:state_dict(), metadata)
end

return m
