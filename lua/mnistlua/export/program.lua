-- `mnistlua export --exe`: this program as one file with the Lua library, the model and its config in it, which needs
-- nothing else on the disk but the shared libraries that mnistlua needs. cli/carried.lua is what runs in it.
local core = require "mnistlua.core"

local m = {}

local longest = 1 << 24   -- bytes of a Lua file

local function read(pieces, name, path)
  local text, problem = core.read_file(path, longest)
  if not text then return nil, problem end
  pieces[#pieces + 1] = { name, text }
  return true
end

-- Every Lua file below `folder`, in a fixed order.
local function add_folder(pieces, folder, name)
  local entries, problem = core.list_dir(folder)
  if not entries then return nil, problem end
  for _, entry in ipairs(entries) do
    local path, ok = folder .. "/" .. entry, true
    if core.is_dir(path) then ok, problem = add_folder(pieces, path, name .. "/" .. entry)
    elseif entry:find "%.lua$" then ok, problem = read(pieces, name .. "/" .. entry, path) end
    if not ok then return nil, problem end
  end
  return true
end

-- Modules that are loaded now and are Lua files outside the library: argparse, and what a config requires.
local function add_others(pieces)
  local names = {}
  for name in pairs(package.loaded) do
    if type(name) == "string" and not name:find "^mnistlua%f[\0.]" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = package.searchpath(name, package.path)
    if path then
      local ok, problem = read(pieces, "lua/" .. name:gsub("%.", "/") .. ".lua", path)
      if not ok then return nil, problem end
    end
  end
  return true
end

--- Writes the program. weights: the bytes of a safetensors file of mnistlua; about: what --help says. The config must
--- have been run, so that what it requires is known. Returns true, or nil and a message.
function m.write(path, weights, about)
  local pieces = { { "about", about }, { "model.safetensors", weights } }
  local library = assert(package.searchpath("mnistlua", package.path)):match "^(.*)/init%.lua$"
  local ok, problem = add_folder(pieces, library, "lua/mnistlua")
  if ok then ok, problem = add_others(pieces) end
  if not ok then return nil, problem end
  return core.write_program(path, pieces)
end

return m
