-- callbacks.TensorBoard { dir, every = 10 }: an event file with the run's metrics, in the run's folder, so that
-- `tensorboard --logdir runs` shows all runs; or in dir/<the run's name>. Metrics of steps (train.loss, train.acc,
-- grad_norm, user....) are means over the steps since the last entry, every `every` steps and at the end of an epoch,
-- with the learning rate; val and test are there where they were measured.
local base = require "mnistlua.callbacks.base"
local core = require "mnistlua.core"
local event_file = require "mnistlua.callbacks.event_file"
local log_file = require "mnistlua.callbacks.log_file"

local TensorBoard = base.class "callbacks.TensorBoard"

local spec = { "dir", dir = { type = "string" }, every = { type = "integer", default = 10, min = 1 } }

-- TensorBoard knows its files by this word in the name.
local name = "events.out.tfevents.mnistlua"

local flush_every = 1   -- seconds, for who looks on

local m = {}

function m.new(given)
  return base.new(TensorBoard, given, spec)
end

local function folder_of(self, run)
  local dir = self.options.dir
  if not run.dir then return dir or self:fail "dir: this run has no folder; give a dir" end
  return dir and dir .. "/" .. run.dir:match "([^/]*)/*$" or run.dir
end

local function metrics_of_steps(run)
  local names = { "train.loss", "train.acc" }
  for _, each in ipairs(run.experiment.metrics or {}) do
    if each == "grad_norm" or each:find "^user%." then names[#names + 1] = each end
  end
  return names
end

function TensorBoard:begin(run)
  self.names = metrics_of_steps(run)
  local began = core.wall_clock()
  self.file = log_file.new(self, folder_of(self, run) .. "/" .. name, {
    header = function() return event_file.version(began) end, whole = event_file.whole,
  })
  self.file:check()
end

-- ---- entries ----

-- Adds the means over the steps since the last entry, as far as they are in this epoch, whose sums the run has.
local function add_steps(self, run, list)
  local memory, means = self.memory, run.board.means
  if memory.epoch ~= run.epoch then memory.epoch, memory.sum, memory.weight = run.epoch, {}, {} end
  for _, each in ipairs(self.names) do
    local sum, weight = means.sum[each] or 0, means.weight[each] or 0
    local known = memory.weight[each] or 0
    if weight > known then
      list[#list + 1] = { each, (sum - (memory.sum[each] or 0)) / (weight - known) }
      memory.sum[each], memory.weight[each] = sum, weight
    end
  end
  if #list > 0 and run.metrics["lr"] then list[#list + 1] = { "lr", run.metrics["lr"] } end
end

local function add_part(run, part, list)
  for _, each in ipairs { part .. ".loss", part .. ".acc" } do
    if type(run.metrics[each]) == "number" then list[#list + 1] = { each, run.metrics[each] } end
  end
end

local function write(self, run, list)
  if #list > 0 then self.file:append(run, event_file.scalars(core.wall_clock(), run.step, list)) end
end

-- ---- events ----

function TensorBoard:batch_end(run)
  if run.step % self.options.every ~= 0 then return end
  local list = {}
  add_steps(self, run, list)
  write(self, run, list)
  if core.clock() - self.file.flushed >= flush_every then self.file:flush(run) end
end

function TensorBoard:epoch_end(run)
  local list, memory = {}, self.memory
  add_steps(self, run, list)
  add_part(run, "val", list)
  if type(run.metrics["test.loss"]) == "number" then memory.tested = run.step end
  add_part(run, "test", list)
  write(self, run, list)
  self.file:flush(run)
end

--- A checkpoint counts on what was written before it.
function TensorBoard:checkpoint(run) self.file:flush(run) end

function TensorBoard:diverged(run) self.file:flush(run) end

function TensorBoard:finish(run)
  local list = {}
  if self.memory.tested ~= run.step then add_part(run, "test", list) end
  write(self, run, list)
  self.file:close(run)
end

return m
