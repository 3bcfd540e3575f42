-- Is a named data set whole? Looks for its four files, reads what is there and compares it with what was published: the
-- content where its hash is known, else the number and size of the pictures. It changes nothing and reports instead of
-- failing.
local core = require "mnistlua.core"
local files = require "mnistlua.data.files"

local m = {}

local function size_of(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local size = file:seek "end"
  file:close()
  return size
end

local function check_file(path)
  local entry = { path = path, bytes = size_of(path) }
  if not core.exists(path) then
    entry.state = "missing"
    return entry
  end
  local tensor, problem = core.read_idx(path)
  entry.state, entry.problem = tensor and "read" or "damaged", problem
  return entry, tensor
end

local function as_published(set, part, data)
  if set.published then return data:hash() == set.published[part] end
  local shape = data:sample_shape()
  return #data == set.counts[part] and #shape == 2 and shape[1] == 28 and shape[2] == 28
end

-- The two files of a part; good where their content is the published one.
local function check_pair(folder, name, part)
  local images_path, labels_path = files.pair(name, folder, part)
  local images, pixels = check_file(images_path)
  local labels, digits = check_file(labels_path)
  if not (pixels and digits) then return images, labels end
  local data, problem = core.dataset(pixels, digits, 10)
  if not data then
    images.state, images.problem = "damaged", ("%s and %s: %s"):format(images_path, labels_path, problem)
  elseif as_published(files.set(name), part, data) then
    images.state, labels.state = "good", "good"
  else
    images.state, labels.state = "other", "other"
  end
  return images, labels
end

local function has_any(name, folder)
  for _, part in ipairs { "train", "t10k" } do
    for _, path in ipairs { files.pair(name, folder, part) } do
      if core.exists(path) then return true end
    end
  end
  return false
end

-- The folder that a config would read; failing that one with some of the files; failing that the first.
local function choose_folder(name)
  local found = files.find_folder(name)
  if found then return found end
  for _, dir in ipairs(files.data_dirs()) do
    if has_any(name, dir .. "/" .. name) then return dir .. "/" .. name end
  end
  return files.data_dirs()[1] .. "/" .. name
end

--- What there is of a named data set: folder, state, number of files missing, whether by_content, and files, a list of
--- { path, bytes, state, problem }. States: "good" (the published content or, where that is not known and by_content
--- false, as many pictures of that size), "other" (readable, but not that), "damaged", "missing"; a file whose partner
--- cannot be read is "read". The set's state is that of its worst file.
function m.check(name)
  local folder = choose_folder(name)
  local by_content = files.set(name).published ~= nil
  local result = { name = name, folder = folder, state = "good", by_content = by_content, files = {} }
  for _, part in ipairs { "train", "t10k" } do
    table.move({ check_pair(folder, name, part) }, 1, 2, #result.files + 1, result.files)
  end
  local rank, missing = { good = 0, read = 0, other = 1, missing = 2, damaged = 3 }, 0
  for _, file in ipairs(result.files) do
    if rank[file.state] > rank[result.state] then result.state = file.state end
    if file.state == "missing" then missing = missing + 1 end
  end
  result.missing = missing
  return result
end

return m
