-- A result beside a kept one: how much faster each row is now, and whether that is more than noise.
local core = require "mnistlua.core"
local figures = require "mnistlua.bench.figures"
local statistics = require "mnistlua.bench.statistics"

local m = {}

local layout = "%-24s %-15s %4s %10s %10s %8s %8s  %s"

-- A row has changed if its speed has left the noise and, where there is one, its share of the peak has too: a machine
-- that is busier today changes the one and not the other.
local function verdict(now, past)
  if not statistics.differ(now.rate, past.rate) then return "" end
  if now.share and past.share and not statistics.differ(now.share, past.share) then return "" end
  return now.rate.median > past.rate.median and "faster" or "SLOWER"
end

--- The rows that both results have, in the order of `now`: a list of { row, past, speed, share, verdict }, where speed
--- and share are ratios now / then (share nil if unknown) and verdict is "faster", "SLOWER" or "".
function m.rows(now, past)
  local by_id, list = {}, {}
  for _, row in ipairs(past.rows) do by_id[row.id] = row end
  for _, row in ipairs(now.rows) do
    local before = by_id[row.id]
    if before then
      list[#list + 1] = {
        row = row, past = before, speed = row.rate.median / before.rate.median,
        share = row.share and before.share and row.share.median / before.share.median or nil,
        verdict = verdict(row, before),
      }
    end
  end
  return list
end

-- The names of the rows of `a` that `b` lacks.
local function missing(a, b)
  local has, list = {}, {}
  for _, row in ipairs(b.rows) do has[row.id] = true end
  for _, row in ipairs(a.rows) do
    if not has[row.id] then list[#list + 1] = row.id end
  end
  return list
end

local function put(lines, ...) lines[#lines + 1] = layout:format(...):gsub("%s+$", "") end

local function put_missing(lines, list, text)
  if #list > 0 then figures.wrap(lines, ("%s: %s"):format(text, core.escape(table.concat(list, ", ")))) end
end

local function put_machine(lines, now, past)
  local before = type(past.machine) == "table" and past.machine or {}
  local same = before.cpu == now.machine.cpu and before.isa == now.machine.isa
  if same then return end
  lines[#lines + 1] = core.escape(("The kept result is from another machine: %s, %s."):format(tostring(before.cpu),
    tostring(before.isa)))
end

--- The lines of the comparison; `name` is what the kept result is called.
function m.lines(now, past, name)
  local lines, group = { "against " .. core.escape(name) .. ":" }, nil
  put_machine(lines, now, past)
  put(lines, "", "", "thr.", "then", "now", "speed", "of peak", "")
  for _, each in ipairs(m.rows(now, past)) do
    local row = each.row
    if row.group ~= group then lines[#lines + 1] = row.group end
    group = row.group
    put(lines, "  " .. row.label, figures.precision(row), row.threads, figures.rate(row.show, each.past.rate.median),
      figures.rate(row.show, row.rate.median), figures.change(each.speed), figures.change(each.share), each.verdict)
  end
  put_missing(lines, missing(now, past), "not in the kept result")
  put_missing(lines, missing(past, now), "only in the kept result")
  figures.wrap(lines, "speed, of peak: now / then. Marked is what left the noise: each median outside the other's 10th "
    .. "to 90th percentile, in speed and in its share of the peak.")
  return lines
end

return m
