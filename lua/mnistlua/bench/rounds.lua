-- The measuring: rounds over all workloads, in each of which every variant of mnistlua and every peer is measured for
-- a moment, one after the other, so that a slow moment of the machine hits all of them. The peak that a variant's share
-- is taken of is measured right before it. Ctrl-C ends it after the measurement at hand; what was measured stays.
local core = require "mnistlua.core"
local machine = require "mnistlua.bench.machine"
local measure = require "mnistlua.bench.measure"
local statistics = require "mnistlua.bench.statistics"

local m = {}

local peak_seconds = 0.02

local function interrupted()
  local count, signal = core.interrupts()
  return count > 0 and signal or nil
end

local function append(t, key, value)
  t[key] = t[key] or {}
  table.insert(t[key], value)
end

-- Measures one variant into variant.rates and variant.peaks; returns the signal that cut it short, if one did.
local function measure_variant(variant, seconds)
  core.threads(variant.threads)
  core.precision(variant.precision)
  local peak = machine.peak(variant.peak, variant.threads, peak_seconds)
  local work = variant.workload.work
  local rate, signal = measure[work[1]](seconds, table.unpack(work, 2))
  core.precision "f32"
  if rate then
    append(variant, "rates", rate)
    variant.peaks = variant.peaks or {}
    variant.peaks[#variant.rates] = peak
  end
  return signal
end

-- Measures one library on a workload into workload.peers[name][setting], a list by round.
local function measure_library(peers, library, workload, seconds)
  local by_setting = workload.peers[library.name] or {}
  workload.peers[library.name] = by_setting
  for i, process in ipairs(library.processes) do
    local same = workload.plain and i > 1      -- what hardly computes is the same in all settings
    if not (same or workload.dropped[process] or interrupted()) then
      local rate = peers:ask(library, process, workload.request, seconds)
      if rate then append(by_setting, process.label, rate) else workload.dropped[process] = true end
    end
  end
end

-- A library goes on with the settings that may be its best. A processor can be slow for a while, by up to 2.5 times:
-- what is given up after one measurement is further behind than that, after more it was behind in every one of them.
local function drop_hopeless(library, workload)
  local by_setting, best = workload.peers[library.name], nil
  for _, rates in pairs(by_setting) do
    if not best or statistics.median(rates) > statistics.median(best) then best = rates end
  end
  for _, process in ipairs(library.processes) do
    local rates = by_setting[process.label]
    local least = best and (#best == 1 and 0.35 or 0.8) * math.min(table.unpack(best))
    if rates and math.max(table.unpack(rates)) < least then workload.dropped[process] = true end
  end
end

local function measure_workload(workload, peers, given, say)
  for _, variant in ipairs(workload.variants) do
    if interrupted() then return interrupted() end
    say(workload, ("%s, %d thread%s"):format(variant.precision, variant.threads, variant.threads > 1 and "s" or ""))
    local signal = measure_variant(variant, given.seconds)
    if signal then return signal end
  end
  core.threads(1)                          -- no idle thread of ours beside the peers
  for _, library in ipairs(peers.list) do
    if not workload.only or workload.only[library.name] then
      say(workload, library.title)
      measure_library(peers, library, workload, given.seconds)
      if interrupted() then return interrupted() end
      drop_hopeless(library, workload)
    end
  end
  collectgarbage()
end

--- Measures every workload in each of given.rounds rounds, `given.seconds` at a time. Results are put into the
--- workloads: `rates` and `peaks` of each variant, and `peers[library][setting]`, lists of images or runs a second by
--- round. say(round, workload, what) hears what comes next. Returns the rounds that were completed and, if it was
--- interrupted, the signal's number.
function m.run(workloads, peers, given, say)
  for _, workload in ipairs(workloads) do workload.peers, workload.dropped = {}, {} end
  for round = 1, given.rounds do
    for _, workload in ipairs(workloads) do
      local signal = measure_workload(workload, peers, given, function(...) say(round, ...) end)
      if signal then return round - 1, signal end
    end
  end
  return given.rounds
end

return m
