-- What a run shows on stderr while it trains: on a terminal one line that is redrawn at most ten times a second, and
-- one whole line per evaluated epoch that stays; piped, only those lines; for other programs, JSON. Nothing here
-- touches stdout or the numbers.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local json = require "mnistlua.json"

local m = {}

local Progress = {}
Progress.__index = Progress

local redraw_every = 0.1   -- seconds
local report_every = 1     -- seconds between two lines of JSON within an epoch

-- ---- numbers as text ----

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

--- "0.0591"; a loss that has gone astray as "6.53e+46", "nan" without a sign.
function m.loss(x)
  if x ~= x then return "nan" end
  return (math.abs(x) < 1e5 and "%.4f" or "%.3g"):format(x)
end

local function significant(digits)
  return function(x) return ("%." .. digits .. "g"):format(x) end
end

local formats = {
  ["train.loss"] = m.loss, ["val.loss"] = m.loss, ["test.loss"] = m.loss,
  ["train.acc"] = m.percent, ["val.acc"] = m.percent, ["test.acc"] = m.percent,
  ["lr"] = significant(4), ["grad_norm"] = significant(3),
}

-- ---- lines ----

-- The metrics of a whole line, in order.
local all = { "train.loss", "train.acc", "val.loss", "val.acc", "test.loss", "test.acc", "grad_norm", "lr" }

local function describe(metrics, own)
  local parts = {}
  local function add(name)
    local value = metrics[name]
    local format = formats[name] or significant(6)
    if value then parts[#parts + 1] = name .. " " .. format(value) end
  end
  for _, name in ipairs(all) do add(name) end
  for _, name in ipairs(own or {}) do
    if name:find "^user%." then add(name) end
  end
  return table.concat(parts, "  ")
end

local function bar(share, width)
  local full = math.floor(share * width + 0.5)
  return color.paint("green", ("█"):rep(full)) .. ("░"):rep(width - full)
end

-- The fields of the redrawn line after the bar, the dearest first.
local function fields(run)
  local list, metrics = {}, run.metrics
  if metrics["train.loss"] then list[#list + 1] = "loss " .. m.loss(metrics["train.loss"]) end
  local left = run:seconds_left()
  if left then list[#list + 1] = "ETA " .. m.duration(left) end
  if metrics["train.acc"] then list[#list + 1] = "acc " .. m.percent(metrics["train.acc"]) end
  local rate = metrics["images_per_s"]
  if rate then list[#list + 1] = m.thousands(rate) .. " images/s" end
  return list
end

-- The line for a terminal of this width: the bar shrinks first, then whole fields go, the cheapest first.
local function bar_line(run, width)
  local head = ("epoch %d/%d "):format(run.epoch, run.epochs)
  local percent = (" %3.0f%%"):format(100 * run.epoch_progress)
  local list = fields(run)
  while true do
    local tail = percent .. (#list > 0 and "  " or "") .. table.concat(list, "  ")
    local room = width - #head - #tail
    if room >= 5 or #list == 0 then
      return head .. bar(run.epoch_progress, math.max(0, math.min(20, room))) .. tail
    end
    list[#list] = nil
  end
end

local function whole_epoch_line(run)
  local text = ("epoch %d/%d  %s"):format(run.epoch, run.epochs, describe(run.metrics, run.experiment.metrics))
  local rate = run.metrics["images_per_s"]
  if rate then text = text .. ("  %s images/s"):format(m.thousands(rate)) end
  return text .. "  " .. m.duration(run:seconds())
end

-- The same for a terminal of this width: short names, and as many fields as fit, the dearest first.
local function short_epoch_line(run, width)
  local metrics = run.metrics
  local list = { ("epoch %d/%d"):format(run.epoch, run.epochs) }
  local function add(name, value, format)
    local text = value and name .. format(value)
    if text and #table.concat(list, "  ") + 2 + #text <= width then list[#list + 1] = text end
  end
  add("loss ", metrics["train.loss"], m.loss)
  add("acc ", metrics["train.acc"], m.percent)
  add("val.acc ", metrics["val.acc"], m.percent)
  if not metrics["val.acc"] then add("test.acc ", metrics["test.acc"], m.percent) end
  add("", run:seconds(), m.duration)
  add("", metrics["images_per_s"], function(rate) return m.thousands(rate) .. " images/s" end)
  return table.concat(list, "  ")
end

local function write(text) io.stderr:write(text) end

-- ---- for programs ----

-- One object per line: {"event":"epoch","epoch":1,"epochs":10,"step":469,"steps":4690,"seconds":2.4,"run":"runs/...",
-- "train.loss":0.3,...}; "step" in place of "epoch" while one is under way, without metrics.
local function report(self, run, event)
  local line = {}
  if event == "epoch" then
    for name, value in pairs(run.metrics) do line[name] = value end
  end
  line.event, line.epoch, line.epochs, line.step, line.steps = event, run.epoch, run.epochs, run.step, run.total_steps
  line.seconds, line.run = run:seconds(), self.options.folder
  write(json.encode(line) .. "\n")
end

-- ---- the display ----

--- options: terminal (redraw a line), quiet (show nothing), json (lines for programs, quiet or not), folder (of the
--- run, for these).
function m.new(options)
  return setmetatable({ options = options, last = 0, drawn = false }, Progress)
end

--- Takes the redrawn line away.
function Progress:clear()
  if self.drawn then
    write "\r\27[K"
    self.drawn = false
  end
end

--- After every step: redraws the line if it is time.
function Progress:step(run)
  if not self.options.terminal and not self.options.json then return end
  local now = core.clock()
  if now - self.last < (self.options.json and report_every or redraw_every) then return end
  self.last = now
  if self.options.json then return report(self, run, "step") end
  write("\r" .. bar_line(run, core.terminal_width() - 1) .. "\27[K")
  self.drawn = true
end

--- After an evaluated epoch: a line that stays. On a terminal it leaves out what would not fit.
function Progress:epoch(run)
  if self.options.json then return report(self, run, "epoch") end
  if self.options.quiet then return end
  self:clear()
  local text, width = whole_epoch_line(run), core.terminal_width()
  if self.options.terminal and #text > width then text = short_epoch_line(run, width) end
  write(text .. "\n")
end

--- A line of the user's or of the trainer's own, above the redrawn one.
function Progress:message(text)
  self:clear()
  write(text .. "\n")
end

return m
