-- What `mnistlua show DATASET` prints: samples as pictures, one or a grid, of one class or in their order.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local data = require "mnistlua.data"
local failure = require "mnistlua.failure"
local files = require "mnistlua.data.files"
local options = require "mnistlua.options"
local picture = require "mnistlua.picture"
local progress = require "mnistlua.train.progress"
local show = require "mnistlua.picture.show"

local m = {}

local held_out = 10000    -- training images that are the val part
local digits = 10000      -- synthetic ones that are made at least

-- ---- the data ----

local function bundle_of(what, split, index)
  local val = split == "val" and held_out or 0
  if what == "digits" then
    local train = math.max(digits, math.min(not split and index or 0, 60000))
    return data.digits { n = train + val, test = split == "test" and digits or 0, val = val }
  elseif files.set(what) then
    return data[what] { val = val }
  elseif core.is_dir(what) then
    return data.images { what, normalise = "unit", val = val > 0 and 0.1 or 0 }
  end
  return data.csv { path = what, normalise = "unit", val = val > 0 and 0.1 or 0 }
end

local function part_of(args)
  local bundle, problem = bundle_of(args.what, args.split, args.index)
  if not bundle then error(failure.new("runtime", problem), 0) end
  local split = args.split or "train"
  if not rawget(bundle, split) then
    options.usage(("--split: %s has no %s part"):format(core.escape(args.what), split))
  end
  return bundle[split], split
end

-- ---- which samples ----

local function label_of(d, text)
  if not text then return nil end
  local names = d.class_names or {}
  for i, name in ipairs(names) do
    if name == text then return i - 1 end
  end
  local label = math.tointeger(tonumber(text))
  if label and label >= 0 and label < d.classes then return label end
  options.usage(("--label: expected %s0 to %d, got '%s'%s"):format(#names > 0 and "a class's name or " or "",
    d.classes - 1, core.escape(text), options.hint(text, names)))
end

-- The numbers of `count` samples from `first` on, of one class if a label is given.
local function numbers_of(d, first, count, label)
  local list = {}
  for i = first, #d do
    if #list == count then break end
    if not label or d[i].label == label then list[#list + 1] = i end
  end
  return list
end

-- ---- what is printed ----

-- One sample: what it is stands in the title.
local function single_title(d, split, number)
  local name = d.class_names and (" (%s)"):format(d.class_names[d[number].label + 1]) or ""
  return ("%s %s %d: label %d%s"):format(d.name, split, number, d[number].label, name)
end

local function grid_titles(d, numbers, by_label)
  local titles = {}
  for i, number in ipairs(numbers) do
    local label = show.label_text(d[number].label, d.class_names)
    titles[i] = by_label and ("#%d"):format(number) or ("%s #%d"):format(label, number)
  end
  return titles
end

local function heading(d, split, label)
  local shape = table.concat(d:sample_shape(), "x")
  local of = ""
  if label then
    local name = d.class_names and " " .. d.class_names[label + 1] or ""
    of = (", %s of label %d%s"):format(progress.thousands(d:label_counts()[label + 1]), label, name)
  end
  local text = ("%s %s: %s samples of %s, %d classes%s"):format(d.name, split, progress.thousands(#d), shape, d.classes,
    of)
  print(color.paint_stdout("bold", core.escape(text)))
end

local function draw(d, numbers, given)
  local pictures = show.samples(d, numbers)
  if not pictures then
    options.usage(("%s: samples of %s are no pictures"):format(core.escape(d.name),
      table.concat(d:sample_shape(), "x")))
  end
  io.write(picture.text(pictures, given))
end

--- Shows what the arguments ask for.
function m.show(args)
  local d, split = part_of(args)
  local label, first = label_of(d, args.label), args.index or 1
  if first > #d then
    options.usage(("--index: %s has %d samples in %s, got %d"):format(core.escape(d.name), #d, split, first))
  end
  local single = args.index and not args.grid
  local grid = args.grid or { 4, nil }
  local count = single and 1 or args.grid and grid[1] * grid[2] or 20
  local numbers = numbers_of(d, first, count, label)
  if #numbers == 0 then
    options.usage(("--label: %s has no samples of label %d from %d on"):format(core.escape(d.name), label, first))
  end
  if single then
    print(color.paint_stdout("bold", core.escape(single_title(d, split, numbers[1]))))
    return draw(d, numbers, { mode = args.mode, width = args.width })
  end
  heading(d, split, label)
  draw(d, numbers, {
    mode = args.mode, width = args.width, columns = grid[2], titles = grid_titles(d, numbers, label),
    scale = not args.grid and 0.5 or nil,
  })
end

return m
