-- What a run shows on stderr while it trains: on a terminal one line that is redrawn at most ten times a second, and
-- one whole line per evaluated epoch that stays; piped, only those lines. Nothing here touches stdout or the numbers.
local core = require "mnistlua.core"

local m = {}

local Progress = {}
Progress.__index = Progress

local redraw_every = 0.1   -- seconds

--- 71234 -> "71,234".
function m.thousands(x)
  local text = ("%d"):format(math.floor(x + 0.5))
  local grouped = text:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^(-?),", "%1"))
end

--- Seconds as "0.8 s", "42 s", "3:07", "1:02:33".
function m.duration(seconds)
  if seconds < 9.95 then return ("%.1f s"):format(seconds) end
  if seconds < 99.5 then return ("%.0f s"):format(seconds) end
  local s = math.floor(seconds + 0.5)
  if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
  return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

--- "98.31%", or "n/a" for the accuracy of nothing.
function m.percent(x)
  if not x or x ~= x then return "n/a" end
  return ("%.2f%%"):format(100 * x)
end

local function general(x) return ("%.6g"):format(x) end

local formats = {
  ["train.loss"] = function(x) return ("%.4f"):format(x) end,
  ["lr"] = function(x) return ("%.4g"):format(x) end,
  ["grad_norm"] = function(x) return ("%.3g"):format(x) end,
  ["train.acc"] = m.percent,
}
formats["val.loss"], formats["test.loss"] = formats["train.loss"], formats["train.loss"]
formats["val.acc"], formats["test.acc"] = m.percent, m.percent

-- The metrics of a line, in order; and of one that has to fit a terminal.
local all = { "train.loss", "train.acc", "val.loss", "val.acc", "test.loss", "test.acc", "grad_norm", "lr" }
local few = { "train.loss", "train.acc", "val.acc", "test.acc", "grad_norm" }

local function describe(metrics, names, own)
  local parts = {}
  local function add(name)
    local value = metrics[name]
    local format = formats[name] or general
    if value then parts[#parts + 1] = name .. " " .. format(value) end
  end
  for _, name in ipairs(names) do add(name) end
  for _, name in ipairs(own or {}) do
    if name:find "^user%." then add(name) end
  end
  return table.concat(parts, "  ")
end

--- options: terminal (redraw a line), quiet (show nothing), color.
function m.new(options)
  return setmetatable({ options = options, last = 0, drawn = false, started = core.clock() }, Progress)
end

local function write(text) io.stderr:write(text) end

local function bar(share, width)
  local full = math.floor(share * width + 0.5)
  return ("█"):rep(full) .. ("░"):rep(width - full)
end

--- Takes the redrawn line away.
function Progress:clear()
  if self.drawn then
    write "\r\27[K"
    self.drawn = false
  end
end

local function fit(text, width)
  if utf8.len(text) <= width then return text end
  return text:sub(1, utf8.offset(text, width + 1) - 1)
end

--- After every step: redraws the line if it is time.
function Progress:step(run)
  if not self.options.terminal then return end
  local now = core.clock()
  if now - self.last < redraw_every then return end
  self.last = now
  local rate = run.metrics["images_per_s"]
  local left = run:seconds_left()
  local means = { ["train.loss"] = run.metrics["train.loss"], ["train.acc"] = run.metrics["train.acc"] }
  local text = ("epoch %d/%d %s %3.0f%%  %s"):format(run.epoch, run.epochs, bar(run.epoch_progress, 20),
    100 * run.epoch_progress, describe(means, few))
  if rate then text = text .. ("  %s images/s"):format(m.thousands(rate)) end
  if left then text = text .. "  ETA " .. m.duration(left) end
  write("\r" .. fit(text, core.terminal_width() - 1) .. "\27[K")
  self.drawn = true
end

local function epoch_line(run, names)
  local text = ("epoch %d/%d  %s"):format(run.epoch, run.epochs, describe(run.metrics, names, run.experiment.metrics))
  local rate = run.metrics["images_per_s"]
  if rate then text = text .. ("  %s images/s"):format(m.thousands(rate)) end
  return text .. "  " .. m.duration(run:seconds())
end

--- After an evaluated epoch: a line that stays. On a terminal it leaves out what would not fit.
function Progress:epoch(run)
  if self.options.quiet then return end
  self:clear()
  local text = epoch_line(run, all)
  if self.options.terminal and utf8.len(text) > core.terminal_width() then text = epoch_line(run, few) end
  write(text .. "\n")
end

--- A line of the user's or of the trainer's own, above the redrawn one.
function Progress:message(text)
  self:clear()
  write(text .. "\n")
end

return m
