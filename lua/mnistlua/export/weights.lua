-- The weights of a source (cli/source.lua) as a safetensors file with PyTorch's names, whatever it came from: a run, a
-- file of weights, a checkpoint. Called by `mnistlua export`. The metadata keeps what mnistlua knows of the model, so
-- that the file is as good a MODEL as the run's own.
local core = require "mnistlua.core"

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

--- The metadata, texts by name; nil and a message if the source's file can no longer be read.
function m.metadata(source)
  if source.checkpoint then return of_checkpoint(source) end
  local tensors, metadata = core.safetensors_read(source.path)
  if not tensors then return nil, metadata end
  metadata.format = "pt"
  return metadata
end

--- Writes the model's weights. Returns true, or nil and a message.
function m.write(model, source, path)
  local metadata, problem = m.metadata(source)
  if not metadata then return nil, problem end
  return core.safetensors_write(path, model:state_dict(), metadata)
end

return m
