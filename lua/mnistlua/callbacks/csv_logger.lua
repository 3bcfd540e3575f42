-- callbacks.CSVLogger { path }: a line for each epoch with its metrics, in metrics.csv in the run's folder or at a
-- path of one's own, which every new run begins anew. What was not measured is empty. There is no time in it, so that
-- the same run gives the same file; `mnistlua runs` knows of times.
local base = require "mnistlua.callbacks.base"
local json = require "mnistlua.json"
local log_file = require "mnistlua.callbacks.log_file"

local CSVLogger = base.class "callbacks.CSVLogger"

local spec = { "path", path = { type = "string" } }

local m = {}

function m.new(given)
  return base.new(CSVLogger, given, spec)
end

-- The metrics in their order: the part that is measured after epochs is val, or test where there is none.
local function columns(run)
  local names = { "train.loss", "train.acc" }
  local part = rawget(run.data, "val") and "val" or rawget(run.data, "test") and "test"
  if part then names[3], names[4] = part .. ".loss", part .. ".acc" end
  names[#names + 1] = "lr"
  for _, name in ipairs(run.experiment.metrics or {}) do
    if name == "grad_norm" or name:find "^user%." then names[#names + 1] = name end
  end
  return names
end

local function cell(value)
  if type(value) ~= "number" then return "" end
  if value ~= value or value == math.huge or value == -math.huge then return tostring(value) end
  return json.encode(value)
end

function CSVLogger:begin(run)
  local path = self.options.path
  if not path and not run.dir then self:fail "path: this run has no folder; give a path" end
  self.names = columns(run)
  self.file = log_file.new(self, path or run.dir .. "/metrics.csv", {
    header = function() return "epoch,step," .. table.concat(self.names, ",") .. "\n" end,
    whole = function(text) return #text:match "^(.-)[^\n]*$" end,
  })
  self.file:check()
end

function CSVLogger:epoch_end(run)
  local cells = { ("%d"):format(run.epoch), ("%d"):format(run.step) }
  for _, name in ipairs(self.names) do cells[#cells + 1] = cell(run.metrics[name]) end
  self.file:append(run, table.concat(cells, ",") .. "\n")
  self.file:flush(run)
end

function CSVLogger:finish(run) self.file:close(run) end

return m
