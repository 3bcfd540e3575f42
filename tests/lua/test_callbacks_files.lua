-- The files of ml.callbacks, CSV and TensorBoard: their bytes, a run that goes on after a checkpoint, full disks. What
-- an independent reader finds in an event file is tested in tests/cli/test_callbacks.sh.
local lu = require "luaunit"
local ml = require "mnistlua"
local aid = require "callbacks_aid"
local core = require "mnistlua.core"
local event_file = require "mnistlua.callbacks.event_file"
local files = require "files_aid"
local cb = ml.callbacks

TestCallbackFiles = {}

function TestCallbackFiles:setUp() self.folder = files.folder() end

function TestCallbackFiles:tearDown() files.remove(self.folder) end

local function read(path) return assert(core.read_file(path, 1 << 24)) end

-- ---- a run that is made up: three epochs of five steps ----

local per_epoch, last_epoch = 5, 3

-- One step, and the end of the epoch with it; `cut` ends the epoch here.
local function step(run, callback, cut)
  run.step = run.step + 1
  if (run.step - 1) % per_epoch == 0 then
    run.epoch = run.epoch + 1
    run.board:turn()
  end
  run.board.means:add("train.loss", 2.385 / run.step, run.step % per_epoch == 0 and 8 or 16)
  if run.step % 2 == 0 then run.board.means:add("user.noise", math.sin(run.step), 16) end
  run.metrics["lr"] = 0.1 / run.epoch
  if callback.batch_end then callback:batch_end(run) end
  if not cut and run.step % per_epoch > 0 then return end
  run.metrics["val.loss"], run.metrics["val.acc"] = 1 / run.step, 1 - 1 / run.step
  callback:epoch_end(run)
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local t = {}
  for key, each in pairs(value) do t[key] = copy(each) end
  return t
end

local function new_run(dir) return aid.made_up { dir = dir, metrics = { "user.noise" } } end

local function until_step(run, callback, last)
  while run.step < last do step(run, callback) end
end

local function whole(make, dir)
  local run, callback = new_run(dir), make()
  callback:start(run)
  until_step(run, callback, last_epoch * per_epoch)
  run.metrics["test.loss"] = 0.4375
  callback:finish(run)
  return callback:state(), run
end

-- The same with a checkpoint after step `at`; the run goes on for `more` steps, the last of which ends the epoch as a
-- time limit does, and is begun again from the checkpoint, which has the callback's memory and the run's counters.
local function in_pieces(make, dir, at, more)
  local run, callback = new_run(dir), make()
  callback:start(run)
  until_step(run, callback, at)
  if callback.checkpoint then callback:checkpoint(run) end
  local memory, values, means = copy(callback:state()), copy(run.board.values), copy(run.board.means)
  local epoch = run.epoch
  for i = 1, more do step(run, callback, i == more) end
  callback:finish(run)

  run, callback = new_run(dir), make()
  callback:start(run)
  callback:load_state(memory)
  run.step, run.epoch = at, epoch
  for name, value in pairs(values) do run.metrics[name] = value end
  for name, sum in pairs(means.sum) do run.board.means:add_sum(name, sum, means.weight[name]) end
  until_step(run, callback, last_epoch * per_epoch)
  run.metrics["test.loss"] = 0.4375
  callback:finish(run)
  return callback:state()
end

-- Event files without the times: the 8 bytes after an event's first, and its checksum.
local function without_times(text)
  local parts, at = {}, 1
  while at <= #text do
    local length = string.unpack("<I8", text, at)
    parts[#parts + 1] = text:sub(at + 12 + 9, at + 12 + length - 1)
    at = at + 16 + length
  end
  return parts
end

local kinds = {
  { "metrics.csv", function() return cb.CSVLogger {} end, function(text) return text end },
  { "events.out.tfevents.mnistlua", function() return cb.TensorBoard { every = 3 } end, without_times },
}

function TestCallbackFiles:testARunThatGoesOnLeavesTheSameFile()
  for _, kind in ipairs(kinds) do
    local name, make, plain = table.unpack(kind)
    local dir = self.folder .. "/whole"
    local memory = whole(make, dir)
    local text = plain(read(dir .. "/" .. name))
    lu.assertEquals(#read(dir .. "/" .. name), memory.bytes)
    for at = 1, last_epoch * per_epoch - 1 do
      for _, more in ipairs { 0, 1, 4 } do
        dir = ("%s/%s-%d-%d"):format(self.folder, name, at, more)
        lu.assertEquals(in_pieces(make, dir, at, more), memory)
        lu.assertEquals(plain(read(dir .. "/" .. name)), text, dir)
      end
    end
  end
end

-- ---- CSV ----

function TestCallbackFiles:testCSV()
  whole(kinds[1][2], self.folder)
  local lines = {}
  for line in io.lines(self.folder .. "/metrics.csv") do lines[#lines + 1] = line end
  lu.assertEquals(#lines, 1 + last_epoch)
  lu.assertEquals(lines[1], "epoch,step,train.loss,train.acc,val.loss,val.acc,lr,user.noise")
  local noise = (math.sin(2) * 16 + math.sin(4) * 16) / 32
  local loss = (16 * (2.385 + 2.385 / 2 + 2.385 / 3 + 2.385 / 4) + 8 * 2.385 / 5) / 72
  local cells = {}
  for cell in (lines[2] .. ","):gmatch "([^,]*)," do cells[#cells + 1] = cell end
  lu.assertEquals({ cells[1], cells[2], cells[4], cells[5], cells[6], cells[7] }, { "1", "5", "", "0.2", "0.8", "0.1" })
  lu.assertAlmostEquals(tonumber(cells[3]), loss, 1e-12)
  lu.assertAlmostEquals(tonumber(cells[8]), noise, 1e-12)
end

function TestCallbackFiles:testCSVOfATraining()
  local path = self.folder .. "/deep/er/log.csv"
  local changes = function() return { metrics = { "grad_norm" }, callbacks = { cb.CSVLogger { path } } } end
  aid.train(changes())
  local first = read(path)
  lu.assertStrContains(first, "epoch,step,train.loss,train.acc,val.loss,val.acc,lr,grad_norm\n1,3,")
  lu.assertEquals(select(2, first:gsub("\n", "")), 5)
  aid.train(changes())
  lu.assertEquals(read(path), first)
end

function TestCallbackFiles:testALineThatWasCutOffIsDroppedOnGoingOn()
  local memory = whole(kinds[1][2], self.folder)
  local path = self.folder .. "/metrics.csv"
  local text = read(path)
  assert(core.write_file(path, text:sub(1, -4)))
  local run, callback = new_run(self.folder), cb.CSVLogger {}
  callback:start(run)
  callback:load_state(memory)
  run.step, run.epoch = 15, 4
  callback:epoch_end(run)
  callback:finish(run)
  lu.assertEquals(read(path), text:match "^(.*\n).-\n$" .. "4,15,,,,,,\n")
end

-- ---- TensorBoard ----

function TestCallbackFiles:testCRC32C()
  lu.assertEquals(event_file.crc32c "", 0)
  lu.assertEquals(event_file.crc32c "123456789", 0xE3069283)
  lu.assertEquals(event_file.crc32c(("\0"):rep(32)), 0x8A9136AA)
  lu.assertEquals(event_file.crc32c(("\xff"):rep(32)), 0x62A8AB43)
end

function TestCallbackFiles:testRecords()
  local version = event_file.version(1.5)
  lu.assertEquals(version:sub(1, 8), string.pack("<I8", 26))
  lu.assertEquals(version:sub(13, -5), "\x09" .. string.pack("<d", 1.5) .. "\x10\0\x1a\x0dbrain.Event:2")
  local record = event_file.scalars(2.5, 300, { { "lr", 0.375 } })
  lu.assertEquals(record:sub(13, -5), "\x09" .. string.pack("<d", 2.5) .. "\x10\xac\x02\x2a\x0b\x0a\x09\x0a\x02lr\x15"
    .. string.pack("<f", 0.375))
end

function TestCallbackFiles:testCompleteRecords()
  local a, b = event_file.version(1), event_file.scalars(2, 3, { { "lr", 0.1 } })
  lu.assertEquals(event_file.whole "", 0)
  for cut = 0, #b - 1 do lu.assertEquals(event_file.whole(a .. b:sub(1, cut)), #a) end
  lu.assertEquals(event_file.whole(a .. b), #a + #b)
  lu.assertEquals(event_file.whole(a .. ("\xff"):rep(40)), #a)
end

function TestCallbackFiles:testTensorBoardKeepsRunsApartInAFolder()
  local callback, run = cb.TensorBoard { self.folder }, new_run "out/20260101-120000-a/"
  callback:start(run)
  lu.assertTrue(core.exists(self.folder .. "/20260101-120000-a/events.out.tfevents.mnistlua"))
  callback:start(new_run())
  lu.assertTrue(core.exists(self.folder .. "/events.out.tfevents.mnistlua"))
end

-- ---- what cannot be written ----

function TestCallbackFiles:testAFullDiskIsAWarningOnce()
  local state, run = whole(function() return cb.CSVLogger "/dev/full" end)
  lu.assertEquals(#run.said, 1)
  lu.assertStrContains(run.said[1],
    "warning: callbacks.CSVLogger: /dev/full cannot be written: No space left on device; the run goes on without it")
  lu.assertEquals(state, (whole(kinds[1][2], self.folder)))
end

function TestCallbackFiles:testAFolderThatVanishesIsAWarningOnce()
  local callback, run = cb.TensorBoard { every = 1 }, new_run(self.folder .. "/gone")
  callback:start(run)
  files.remove(self.folder .. "/gone")
  until_step(run, callback, 10)
  callback:finish(run)
  lu.assertEquals(#run.said, 1)
  lu.assertStrContains(run.said[1], "callbacks.TensorBoard: " .. self.folder .. "/gone/events")
  lu.assertStrContains(run.said[1], "No such file or directory")
end

function TestCallbackFiles:testAPathThatCannotBeWrittenIsToldAtTheStart()
  assert(core.make_dirs(self.folder .. "/folder.csv"))
  assert(core.write_file(self.folder .. "/file", "text"))
  local cases = {
    { cb.CSVLogger(self.folder .. "/folder.csv"), "callbacks.CSVLogger: cannot be written" },
    { cb.CSVLogger(self.folder .. "/file/log.csv"), "callbacks.CSVLogger: " .. self.folder .. "/file" },
    { cb.TensorBoard(self.folder .. "/file"), "callbacks.TensorBoard: " .. self.folder .. "/file" },
    { cb.CSVLogger {}, "path: this run has no folder; give a path" },
    { cb.TensorBoard {}, "dir: this run has no folder; give a dir" },
  }
  for _, case in ipairs(cases) do
    local stepped = false
    lu.assertErrorMsgContains(case[2], aid.train, {
      callbacks = { case[1] }, on = { batch_start = function() stepped = true end },
    })
    lu.assertFalse(stepped)
  end
  lu.assertEquals(read(self.folder .. "/file"), "text")
  lu.assertErrorMsgContains("every is 0", cb.TensorBoard, { every = 0 })
  lu.assertErrorMsgContains("path is 5", cb.CSVLogger, { path = 5 })
end
