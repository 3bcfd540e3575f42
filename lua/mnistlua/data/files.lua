-- Where data files are: the data folder, and MNIST's four names in it.
local core = require "mnistlua.core"
local context = require "mnistlua.context"

local m = {}

--- The folders that are searched, most wanted first: --data-dir, or MNISTLUA_DATA, or data/ here and then beside the
--- program.
function m.data_dirs()
  local chosen = context.data_dir or os.getenv "MNISTLUA_DATA"
  if chosen and chosen ~= "" then return { chosen } end
  return { "data", core.root .. "/data" }
end

local function first_existing(paths)
  for _, path in ipairs(paths) do
    if core.exists(path) then return path end
  end
end

--- The images' and labels' paths of a part ("train" or "t10k") in a folder: plain or .gz, whichever is there.
function m.mnist_pair(folder, part)
  local function path(kind)
    local plain = ("%s/%s-%s-ubyte"):format(folder, part, kind)
    return first_existing { plain, plain .. ".gz" } or plain .. ".gz"
  end
  return path "images-idx3", path "labels-idx1"
end

--- The folder of a data set, or nil and what to do about it.
function m.find_folder(name, title)
  local dirs = m.data_dirs()
  for _, dir in ipairs(dirs) do
    local folder = dir .. "/" .. name
    if core.exists((m.mnist_pair(folder, "t10k"))) then return folder end
  end
  return nil, ("%s is not in %s/%s: fetch it with 'make data', name another folder with --data-dir DIR or "
    .. "MNISTLUA_DATA, or train on the built-in synthetic digits with --data digits"):format(title, dirs[1], name)
end

return m
