-- A checkpoint as a file: DIR/step-000000001234.safetensors, whose tensors and metadata hold the state of a run
-- (state.lua) and what the run was (checkpoint_facts.lua). A checksum in it covers every byte. Written in the
-- background, under its name only when it is whole and on the disk.
local core = require "mnistlua.core"
local pack = require "mnistlua.train.pack"

local m = {}

--- The version of what is in the file; higher ones are refused.
m.version = 1

--- The folder of a run's checkpoints.
function m.folder(run_dir) return run_dir .. "/checkpoints" end

function m.name(step) return ("step-%012d.safetensors"):format(step) end

--- The step in a checkpoint's name, or nil.
function m.step_of(name)
  local digits = name:match "^step%-(%d+)%.safetensors$"
  return digits and math.tointeger(tonumber(digits))
end

--- The steps of the checkpoints in a folder, ascending; none if there is no such folder.
function m.steps(dir)
  local steps = {}
  for _, name in ipairs(core.is_dir(dir) and core.list_dir(dir) or {}) do steps[#steps + 1] = m.step_of(name) end
  table.sort(steps)
  return steps
end

--- Removes what a process that was killed has left behind in a folder.
function m.sweep(dir)
  for _, name in ipairs(core.is_dir(dir) and core.list_dir(dir) or {}) do
    if name:find "%.%d+%.%d+%.tmp$" then os.remove(dir .. "/" .. name) end
  end
end

-- A file without tensors is not one that the format allows.
local function at_least_one(tensors)
  return #tensors > 0 and tensors or { { "nothing", core.zeros({ 1 }, "u8") } }
end

--- Begins to write one: facts and state are texts. Returns a core Save, or nil and a message.
function m.begin(path, tensors, state, facts)
  return core.save_begin(path, at_least_one(tensors), {
    format = "pt", ["mnistlua.checkpoint"] = tostring(m.version), ["mnistlua.crc32"] = "00000000",
    ["mnistlua.run"] = facts, ["mnistlua.state"] = state,
  })
end

local function check_version(metadata)
  local version = metadata["mnistlua.checkpoint"]
  if not version then
    return nil, "is not a checkpoint but a file of weights; expected one from a run's folder checkpoints"
  end
  local number = tonumber(version)
  if number and number > m.version then
    return nil, ("was written by a newer mnistlua: format %s, and this one reads up to %d"):format(core.escape(version),
      m.version)
  elseif number ~= m.version then
    return nil, ("is of format '%s'; expected %d"):format(core.escape(version), m.version)
  end
  return true
end

--- Reads one, checked: { path, tensors (a list of { name, tensor }), state (a text), facts (a table) }. nil and a
--- message that begins with the path if it is no checkpoint, or a damaged one.
function m.read(path)
  local tensors, metadata = core.safetensors_read(path)
  if not tensors then return nil, metadata end
  local ok, problem = check_version(metadata)
  if not ok then return nil, core.escape(path) .. ": " .. problem end
  ok, problem = core.check_seal(path)
  if not ok then return nil, problem end
  local facts
  facts, problem = pack.value(metadata["mnistlua.run"] or "", {})
  if type(facts) ~= "table" or not metadata["mnistlua.state"] then
    return nil, ("%s: its metadata is damaged: %s"):format(core.escape(path), problem or "a part is missing")
  end
  return { path = path, tensors = tensors, state = metadata["mnistlua.state"], facts = facts }
end

--- Whether a file is whole: quicker than reading it.
function m.is_whole(path) return core.check_seal(path) == true end

--- The newest checkpoint of a folder that can be read, as m.read returns it; warn(message) is called for each that is
--- passed over. nil and a message if there is none.
function m.newest(dir, warn)
  local steps, first = m.steps(dir), nil
  for i = #steps, 1, -1 do
    local path = dir .. "/" .. m.name(steps[i])
    local read, problem = m.read(path)
    if read then return read end
    first = first or problem
    if i > 1 then warn(problem .. "; the one before it is used") end
  end
  return nil, first or ("%s: there is no checkpoint"):format(core.escape(dir))
end

return m
