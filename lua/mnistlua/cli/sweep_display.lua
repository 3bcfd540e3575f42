-- What a sweep shows on stderr while it runs: a line that stays for every finished trial, and on a terminal below them
-- a table of the running ones that is redrawn in place a few times a second. Nothing here touches stdout or the
-- trials.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local progress = require "mnistlua.train.progress"
local run_text = require "mnistlua.cli.run_text"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local Display = {}
Display.__index = Display

local redraw_every = 0.25   -- seconds
local most_rows = 12        -- running trials that are shown

--- options: terminal, quiet (failures only), label (function(number) -> the trial's parameters as text).
function m.new(options)
  return setmetatable({ options = options, last = 0, drawn = 0 }, Display)
end

local function write(text) io.stderr:write(text) end

--- Takes the table away.
function Display:clear()
  if self.drawn > 0 then write(("\27[%dA\r\27[J"):format(self.drawn)) end
  self.drawn = 0
end

--- A line that stays, above the table.
function Display:message(text)
  self:clear()
  write(text .. "\n")
  self.last = 0
end

-- ---- text ----

--- A metric of a record as "val.acc 97.10%", "" if it is not known.
local function score_text(by, metrics)
  local value = by and metrics[by.name]
  return value and by.name .. " " .. run_text.metric(by.name, value) or ""
end

m.status_colors = { done = "green", pruned = "dim", diverged = "red", failed = "red" }

local function finished_line(self, runner, record)
  local counts = runner:counts()
  local head = ("%d/%d"):format(#runner.points - counts.left, #runner.points)
  local status = color.paint(m.status_colors[record.status], ("%-8s"):format(record.status))
  local line = ("%7s  trial %-3d %s  %-16s  %6s  %s"):format(head, record.trial, status,
    score_text(runner:chosen(), record.metrics), progress.duration(record.seconds), self.options.label(record.trial))
  return record.error and line .. ": " .. core.escape(record.error) or line
end

--- After a trial: its line; failures also where all else is quiet.
function Display:finished(runner, record)
  if self.options.quiet and not record.error then return end
  self:message(finished_line(self, runner, record))
end

-- ---- the table ----

local function row(self, by, trial)
  local now, last = trial.now, trial.reports[#trial.reports]
  local share = now and now.steps and now.step and ("%3.0f%%"):format(100 * now.step / now.steps) or ""
  local epoch = now and ("epoch %d/%d"):format(now.epoch, now.epochs) or "starting"
  return ("%5d  %-13s %4s  %-16s  %6s  %s"):format(trial.number, trial.pruned and "pruned" or epoch, share,
    last and score_text(by, last.metrics) or "", progress.duration(trial:seconds()), self.options.label(trial.number))
end

-- Seconds that the trials left may take: as long as the finished ones did, on average.
local function seconds_left(runner, left)
  local sum, count = 0, 0
  for _, record in pairs(runner.records) do
    if record.status == "done" then sum, count = sum + record.seconds, count + 1 end
  end
  return count > 0 and sum / count * math.ceil(left / runner.jobs)
end

local function summary(runner, by)
  local counts, best = runner:counts(), runner:best()
  local parts = { ("%d of %d"):format(#runner.points - counts.left, #runner.points) }
  local failed = counts.failed + counts.diverged
  if counts.pruned > 0 then parts[#parts + 1] = ("%d pruned"):format(counts.pruned) end
  if failed > 0 then parts[#parts + 1] = ("%d failed"):format(failed) end
  if best then parts[#parts + 1] = ("best trial %d: %s"):format(best.trial, score_text(by, best.metrics)) end
  parts[#parts + 1] = progress.duration(core.clock() - runner.started)
  local left = not runner.stopping and seconds_left(runner, counts.left)
  if left then parts[#parts + 1] = "about " .. progress.duration(left) .. " left" end
  if runner.stopping then parts[#parts + 1] = "stopping" end
  return table.concat(parts, ", ")
end

--- Redraws the table if it is time.
function Display:draw(runner)
  if not self.options.terminal or core.clock() - self.last < redraw_every then return end
  local by, lines, room = runner:chosen(), {}, core.terminal_width() - 1
  for i = 1, math.min(#runner.running, most_rows) do lines[i] = row(self, by, runner.running[i]) end
  if #runner.running > most_rows then
    lines[#lines + 1] = ("%5s  and %d more"):format("", #runner.running - most_rows)
  end
  lines[#lines + 1] = summary(runner, by)
  for i, line in ipairs(lines) do lines[i] = text_table.cut(line, room) end
  local home = self.drawn > 0 and ("\27[%dA\r"):format(self.drawn) or ""
  write(home .. table.concat(lines, "\27[K\n") .. "\27[K\n\27[J")       -- at once, so that it does not flicker
  self.drawn, self.last = #lines, core.clock()
end

return m
