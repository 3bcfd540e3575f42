-- Another split of MNIST's 70,000 pictures, to see whether a config was fitted to the usual test set: shuffles them
-- with a seed and writes four IDX files, 60,000 and 10,000, in the folder OUT/mnist.
--
--   OUT=/tmp/split SEED=1 ./mnistlua tests/bench/other_split.lua
--   ./mnistlua configs/cnn.lua --data-dir /tmp/split
local core = require "mnistlua.core"
local ml = require "mnistlua"

local out = assert(os.getenv "OUT", "OUT names the folder to write to")
local seed = math.tointeger(os.getenv "SEED" or 1)

local pictures, labels = {}, {}
for _, part in ipairs { "train", "t10k" } do
  local d = assert(ml.data.mnist { from = part }).train
  for i = 1, #d do
    local sample = d[i]
    pictures[#pictures + 1] = string.char(table.unpack(sample.image:reshape(-1):totable()))
    labels[#labels + 1] = string.char(sample.label)
  end
end
assert(#pictures == 70000, "expected 70,000 pictures, found " .. #pictures)

math.randomseed(seed)
for i = #pictures, 2, -1 do
  local j = math.random(i)
  pictures[i], pictures[j] = pictures[j], pictures[i]
  labels[i], labels[j] = labels[j], labels[i]
end

local function write(name, header, list, first, last)
  local f = assert(io.open(("%s/mnist/%s"):format(out, name), "wb"))
  assert(f:write(header, table.concat(list, "", first, last)))
  assert(f:close())
end

assert(core.make_dirs(out .. "/mnist"))
for _, part in ipairs { { "train", 1, 60000 }, { "t10k", 60001, 70000 } } do
  local name, first, last = table.unpack(part)
  local n = last - first + 1
  write(name .. "-images-idx3-ubyte", (">I4I4I4I4"):pack(0x803, n, 28, 28), pictures, first, last)
  write(name .. "-labels-idx1-ubyte", (">I4I4"):pack(0x801, n), labels, first, last)
end
