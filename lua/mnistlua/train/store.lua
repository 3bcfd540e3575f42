-- The folder of a run: OUT/<time>-<name>/ with the config's text, run.json, the weights and the result. It is made,
-- tried for writing and locked before the first step; while the lock is held no other process trains in it. Where the
-- database beside it cannot be used the run goes on without.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local failure = require "mnistlua.failure"
local folder = require "mnistlua.store.folder"
local json = require "mnistlua.json"
local recorder = require "mnistlua.train.recorder"

local m = {}

-- Fields: dir, out, name (of the folder in OUT), weights (the path), saved (whether they are there), recorder.
local Store = {}
Store.__index = Store

local function held_message(dir, holder, problem)
  if not holder then return problem end
  local who = holder > 0 and ("process %d"):format(holder) or "another process"
  return ("%s: %s trains in this folder"):format(dir, who)
end

local function new_store(out, name, lock)
  local dir = out .. "/" .. name
  return setmetatable({
    out = out, name = name, dir = dir, weights = dir .. "/model.safetensors", lock = lock, saved = false,
    recorded = false, ended = false,
  }, Store)
end

-- A name that nobody has, and its lock: whoever has the lock of a folder without run.json has made the folder. Returns
-- nil and a message if no folder can be made.
local function claim(out, wanted)
  local name, n = wanted, 1
  while true do
    local dir = out .. "/" .. name
    local ok, problem = core.make_dirs(dir)
    if not ok then return nil, problem end
    if not core.exists(dir .. "/run.json") and not core.exists(dir .. "/config.lua") then
      local lock, why, holder = core.lock(dir .. "/lock")
      if lock and not core.exists(dir .. "/run.json") then return name, lock end
      if not lock and not holder then return nil, why end
    end
    n = n + 1
    name = wanted .. "-" .. n
  end
end

local function write_start(self, given)
  local text = context.config_text
  if text then
    local ok, problem = core.write_file(self.dir .. "/config.lua", text)
    if not ok then return nil, problem end
  end
  return core.write_file(self.dir .. "/run.json", json.encode(given) .. "\n")
end

--- Makes the folder of a new run below `out`; given: what run.json says (facts.lua). Returns nil and why it could not.
--- It is to be closed (local store <close> = ...): closed by an error, it writes that as the run's result.
function m.create(out, given)
  local ok, problem = core.check_writable(out)
  if not ok then return nil, problem end
  local safe = given.name:gsub("[^%w_.-]", "_")
  local name, lock = claim(out, ("%s-%s"):format(os.date("%Y%m%d-%H%M%S", given.started), safe))
  if not name then return nil, lock end
  local self = new_store(out, name, lock)
  ok, problem = write_start(self, given)
  if not ok then
    self:remove_start()
    return nil, problem
  end
  self.recorder = recorder.new(out, name)
  return self
end

--- Takes up the folder of an earlier run, to go on with it: its result no longer holds. Returns nil and a message if
--- another process trains in it.
function m.open(dir)
  local out, name = dir:match "^(.*)/([^/]+)/*$"
  if not out then out, name = ".", dir end
  local lock, problem, holder = core.lock(out .. "/" .. name .. "/lock")
  if not lock then return nil, held_message(dir, holder, problem) end
  local self = new_store(out, name, lock)
  os.remove(self.dir .. "/result.json")
  self.saved = core.exists(self.weights)
  self.recorder = recorder.new(out, name)
  return self
end

-- What there is of a run that could not begin.
function Store:remove_start()
  for _, name in ipairs { "config.lua", "run.json", "lock" } do os.remove(self.dir .. "/" .. name) end
  os.remove(self.dir)
  self.lock:release()
end

--- Saves the model's weights, replacing the run's earlier ones. Returns the path, or nil and a message.
function Store:save_weights(model, metadata)
  local ok, problem = model:save(self.weights, metadata)
  if not ok then return nil, problem end
  self.saved = true
  return self.weights
end

--- Writes into run.json what was changed by hand (pause.lua), or that nothing was.
function Store:save_changes(changes)
  local known = folder.facts(self.dir)
  if not known or not (changes or known.changes) then return end
  known.changes = changes or nil
  core.write_file(self.dir .. "/run.json", json.encode(known) .. "\n")
end

--- Completes the run's row and metrics in the database.
function Store:record(result)
  if not self.recorded then self.recorder:finish(result) end
  self.recorded = true
end

--- Writes result.json, which says that the run has ended: what else is to lie in the folder lies there by then.
function Store:save_result(result)
  self.ended = true
  self:record(result)
  return core.write_file(self.dir .. "/result.json", json.encode(result) .. "\n")
end

--- Writes how a run ended that has no result: error is what ended it.
function Store:save_failure(problem)
  local diverged = failure.is(problem) and problem.kind == "diverged"
  local result = self.recorder:so_far()
  result.status, result.error = diverged and "diverged" or "failed", tostring(problem)
  return self:save_result(result)
end

--- Gives the folder free.
function Store:close()
  self.recorder:close()
  self.lock:release()
end

function Store:__close(problem)
  if problem ~= nil and not self.ended then pcall(self.save_failure, self, problem) end
  self:close()
end

return m
