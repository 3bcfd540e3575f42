-- The folder of a run: OUT/<time>-<name>/ with the config's text, the weights and the result. It is made, and tried for
-- writing, before the first step.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local json = require "mnistlua.json"

local m = {}

local Store = {}
Store.__index = Store

local function free_name(path)
  local name, n = path, 1
  while core.exists(name) do
    n = n + 1
    name = path .. "-" .. n
  end
  return name
end

--- Makes the folder of a new run below `out`, or returns nil and why it could not.
function m.create(out, name)
  local ok, problem = core.check_writable(out)
  if not ok then return nil, problem end
  local safe = name:gsub("[^%w_.-]", "_")
  local dir = free_name(("%s/%s-%s"):format(out, os.date "%Y%m%d-%H%M%S", safe))
  ok, problem = core.make_dirs(dir)
  if not ok then return nil, problem end
  local self = setmetatable({ dir = dir, weights = dir .. "/model.safetensors" }, Store)
  local text = context.config and core.read_file(context.config, 1 << 24)
  if text then
    ok, problem = core.write_file(dir .. "/config.lua", text)
    if not ok then
      os.remove(dir)
      return nil, problem
    end
  end
  return self
end

--- Saves the model's weights, replacing the run's earlier ones. Returns the path, or nil and a message.
function Store:save_weights(model, metadata)
  local ok, problem = model:save(self.weights, metadata)
  if not ok then return nil, problem end
  self.saved = true
  return self.weights
end

--- Writes result.json.
function Store:save_result(result)
  return core.write_file(self.dir .. "/result.json", json.encode(result) .. "\n")
end

return m
