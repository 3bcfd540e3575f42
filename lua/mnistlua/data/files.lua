-- Where data files are: the data sets of four IDX files that have a name, their folders in the data folder, and the
-- command that fetches them.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local options = require "mnistlua.options"

local m = {}

--- The named data sets, in the order in which they are listed. title: for messages; size: of the download; parts: what
--- the names of the files of each part begin with; counts: pictures of 28x28 in each; moments: mean and deviation of
--- the training pixels as x / 255 that everyone uses, measured anew where there are none; published: Dataset:hash of
--- the images and labels, from files with the sums in data/SHA256SUMS; transposed: rows are stored as columns.
m.sets = {
  {
    name = "mnist", title = "MNIST", size = "11 MB", parts = { train = "train", t10k = "t10k" },
    counts = { train = 60000, t10k = 10000 }, moments = { 0.1307, 0.3081 },
    published = { train = "600a93f60803cfc4", t10k = "108e34365c00af58" },
  },
  {
    name = "fashion_mnist", title = "Fashion-MNIST", size = "31 MB", parts = { train = "train", t10k = "t10k" },
    counts = { train = 60000, t10k = 10000 },
    class_names = {
      "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    },
  },
  {
    name = "kmnist", title = "KMNIST", size = "21 MB", parts = { train = "train", t10k = "t10k" },
    counts = { train = 60000, t10k = 10000 },
    class_names = { "o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo" },
  },
  {
    name = "emnist_digits", title = "EMNIST-digits", size = "562 MB",
    parts = { train = "emnist-digits-train", t10k = "emnist-digits-test" },
    counts = { train = 240000, t10k = 40000 }, transposed = true,
  },
}

--- The data set of this name, or nil.
function m.set(name)
  for _, set in ipairs(m.sets) do
    if set.name == name then return set end
  end
end

--- "; did you mean 'emnist_digits' or 'mnist'?" with the names in `list` that are near to `word`, "" if none is.
function m.near(word, list)
  local found = {}
  for _, name in ipairs(list) do
    if options.nearest(word, { name }) then found[#found + 1] = "'" .. name .. "'" end
  end
  if #found == 0 then return "" end
  local last = table.remove(found)
  return "; did you mean " .. (#found > 0 and table.concat(found, ", ") .. " or " or "") .. last .. "?"
end

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

--- The images' and labels' paths of a part ("train" or "t10k") of a named set in a folder: plain or .gz, whichever is
--- there.
function m.pair(name, folder, part)
  local prefix = m.set(name).parts[part]
  local function path(kind)
    local plain = ("%s/%s-%s-ubyte"):format(folder, prefix, kind)
    return first_existing { plain, plain .. ".gz" } or plain .. ".gz"
  end
  return path "images-idx3", path "labels-idx1"
end

--- A path as a shell reads it.
function m.quoted(path)
  if path:find "^[%w_./-]+$" then return path end
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

--- The command that fetches a named set to where it is looked for; the script replaces damaged files.
function m.fetch_command(name)
  local script = core.root .. "/data/fetch"
  local to = context.data_dir and " --to " .. m.quoted(context.data_dir) or ""
  local which = name == "mnist" and "" or " " .. name
  return (core.exists(script) and m.quoted(script) or "data/fetch") .. which .. to
end

--- The folder of a named set, or nil and what to do about it.
function m.find_folder(name)
  local dirs, set = m.data_dirs(), m.set(name)
  for _, dir in ipairs(dirs) do
    local folder = dir .. "/" .. name
    if core.exists((m.pair(name, folder, "t10k"))) then return folder end
  end
  local fetch = name == "mnist" and "make data" or m.fetch_command(name)
  return nil, ("%s is not in %s/%s: fetch it with '%s' (%s), name another folder with --data-dir DIR or "
    .. "MNISTLUA_DATA, or train on the built-in synthetic digits with --data digits"):format(set.title, dirs[1], name,
    fetch, set.size)
end

return m
