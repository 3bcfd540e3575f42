-- Data sets described in a few words, so that a model can be used where its training data is not wanted, or not there.
-- The trainer writes the description into the weights' file; `mnistlua predict` runs the config with it, when every
-- function of ml.data returns what m.bundle makes: a data set of that kind, with a single black sample.
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local json = require "mnistlua.json"

local m = {}

local shown = 256     -- samples that tell whether pictures are light or dark

--- The entries of the metadata that describe a bundle.
function m.entries(bundle)
  local train, names = bundle.train, bundle.class_names
  if train.core:dtype() ~= "u8" then return {} end
  local mean = train.core:range(1, math.min(#train, shown)):moments()
  return {
    ["mnistlua.sample_shape"] = table.concat(train:sample_shape(), "x"),
    ["mnistlua.normalise"] = ("%.17g %.17g"):format(table.unpack(train.normalise)),
    ["mnistlua.classes"] = tostring(train.classes),
    ["mnistlua.class_names"] = names and json.encode(names) or nil,
    ["mnistlua.paper"] = mean > 0.5 and "white" or "black", ["mnistlua.straightened"] = train.straightened,
  }
end

local function sizes_of(text)
  local shape = {}
  for size in text:gmatch "[^x]+" do
    local n = math.tointeger(tonumber(size))
    if not n or n < 1 or n > 4096 then return nil end
    shape[#shape + 1] = n
  end
  return #shape > 0 and #shape <= 3 and shape or nil
end

local ways = { centre = "centre", deskew = "deskew" }

local function names_of(text, classes)
  local names = text and core.json_decode(text)
  if type(names) ~= "table" or #names ~= classes then return nil end
  for _, name in ipairs(names) do
    if type(name) ~= "string" then return nil end
  end
  return names
end

--- What m.entries wrote: { shape =, normalise =, classes =, class_names =, paper =, straightened = }; nil where it is
--- not there, or not what it should be.
function m.read(metadata)
  local shape = sizes_of(metadata["mnistlua.sample_shape"] or "")
  local mean, std = (metadata["mnistlua.normalise"] or ""):match "^(%S+) (%S+)$"
  local classes = math.tointeger(tonumber(metadata["mnistlua.classes"] or ""))
  mean, std = tonumber(mean), tonumber(std)
  if not (shape and mean and std and std > 0 and classes and classes > 0 and classes <= 65536) then return nil end
  return {
    shape = shape, normalise = { mean, std }, classes = classes, paper = metadata["mnistlua.paper"],
    class_names = names_of(metadata["mnistlua.class_names"], classes),
    straightened = ways[metadata["mnistlua.straightened"]],
  }
end

--- The same of a bundle that was read.
function m.of(bundle) return m.read(m.entries(bundle)) end

--- A bundle of that description.
function m.bundle(described)
  local x = core.zeros(1, table.unpack(described.shape)):to "u8"
  local handle = core.dataset(x, core.zeros(1):to "i32", described.classes)
  local function part() return dataset.dataset(handle, "described", described.normalise, described.class_names) end
  return dataset.bundle { name = "described", train = part(), val = part(), test = part() }
end

return m
