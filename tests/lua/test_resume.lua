-- Going on from a checkpoint gives the bits of the run that was never stopped: for everything that has a state,
-- stopped in the middle of an epoch, at its end and in the last step, on another number of threads.
local lu = require "luaunit"
local aid = require "resume_aid"
local core = require "mnistlua.core"
local file = require "mnistlua.train.checkpoint_file"

TestResume = {}

function TestResume:setUp()
  local name = os.tmpname()
  os.remove(name)
  local memory = core.is_dir "/dev/shm" and "/dev/shm" or "/tmp"      -- many files, synced one by one
  self.threads, self.folder = core.threads(), memory .. name:match "/[^/]+$"
  assert(core.make_dirs(self.folder .. "/whole"))
end

function TestResume:tearDown()
  core.threads(self.threads)
  for _, dir in ipairs { self.folder .. "/whole", self.folder .. "/cut", self.folder } do
    for _, name in ipairs(core.is_dir(dir) and core.list_dir(dir) or {}) do os.remove(dir .. "/" .. name) end
    os.remove(dir)
  end
end

local function empty(dir)
  assert(core.make_dirs(dir))
  for _, name in ipairs(core.list_dir(dir)) do os.remove(dir .. "/" .. name) end
end

-- Stops a run at each of these steps, one after the other, and lets it end.
local function in_pieces(make, dir, stops)
  empty(dir)
  local threads, from, result, run = 1, nil, nil, nil
  for _, stop in ipairs(stops) do
    threads = 3 - threads
    core.threads(threads)
    result, run = aid.train(make, { dir = dir, stop = stop, from = from })
    lu.assertEquals(result.status, stop and "interrupted" or "done")
    local _, _, path = aid.newest(dir)
    from = assert(file.read(path))
  end
  return result, run
end

local function compare(name, whole, pieces)
  for _, key in ipairs {
    "train.loss", "train.acc", "val.loss", "val.acc", "test.loss", "test.acc", "steps", "stopped",
  } do
    lu.assertEquals(pieces[key], whole[key], name .. ": " .. key)
  end
end

function TestResume:testTheSameBitsForEverythingThatHasAState()
  for _, each in ipairs(aid.experiments) do
    local name, make = each[1], each[2]
    local whole, run = aid.train(make, { dir = self.folder .. "/whole" })
    local bytes, last = aid.newest(self.folder .. "/whole")
    local weights = aid.weights(run, self.folder)
    for _, stops in ipairs { { 1 }, { 3, 4 }, { 5 }, { 7, 10 }, { last - 1 }, { last } } do
      stops[#stops + 1] = false
      local result, again = in_pieces(make, self.folder .. "/cut", stops)
      local got, step = aid.newest(self.folder .. "/cut")
      lu.assertEquals(step, last)
      compare(name, whole, result)
      lu.assertTrue(got == bytes, ("%s, stopped at %s: another checkpoint"):format(name, tostring(stops[1])))
      lu.assertTrue(aid.weights(again, self.folder) == weights, name .. ": other weights")
    end
    empty(self.folder .. "/whole")
  end
end
