-- The result of a benchmark as one plain table, which --json prints, --save keeps and --compare reads again:
--
--   { format = "mnistlua-bench", version = 1, machine = {...}, threads, rounds, seconds, notes = {...},
--     peaks = { f32 = { ["1"] = summary, ["2"] = summary }, amx = ... },     FLOP/s by number of threads
--     peers = { { name, title, version }, ... },
--     rows = { { id, group, label, precision, emulated, threads, show, flops,
--                rate = summary,                    images or runs a second
--                share = summary,                   of the peak measured right before, 0..1
--                peers = { numpy = { ratio, setting, rate = summary }, ... } }, ... } }
--
-- A summary is { median, p10, p90, values }. A peer's setting is the one with the best median; the ratio is the median
-- of the rounds' ratios to it, above 1 where mnistlua is faster.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local statistics = require "mnistlua.bench.statistics"

local m = {}

m.format, m.version = "mnistlua-bench", 1

-- The setting of a library with the best median, as name and rates; nil if it has none.
local function best_setting(by_setting)
  local best
  for _, name in ipairs(options.sorted_keys(by_setting)) do
    if not best or statistics.median(by_setting[name]) > statistics.median(by_setting[best]) then best = name end
  end
  return best, best and by_setting[best]
end

local function compare_with_peers(variant)
  local compared = {}
  for name, by_setting in pairs(variant.workload.peers) do
    local setting, rates = best_setting(by_setting)
    if setting then
      compared[name] = {
        setting = setting, rate = statistics.summary(rates),
        ratio = statistics.median(statistics.ratios(variant.rates, rates)),
      }
    end
  end
  return compared
end

local function shares(variant)
  local list, flops = {}, variant.workload.flops
  if not flops then return nil end
  for i, rate in ipairs(variant.rates) do
    if variant.peaks[i] then list[#list + 1] = rate * flops / variant.peaks[i] end
  end
  return statistics.summary(list)
end

local function row(variant)
  local workload = variant.workload
  return {
    id = variant.id, group = workload.group, label = workload.label, precision = variant.precision,
    emulated = variant.emulated or nil, threads = variant.threads, show = workload.show, flops = workload.flops,
    rate = statistics.summary(variant.rates), share = shares(variant), peers = compare_with_peers(variant),
  }
end

local function at(t, key)
  t[key] = t[key] or {}
  return t[key]
end

-- Every peak that was measured, summarised by kind and number of threads.
local function peaks(workloads)
  local lists = {}
  for _, workload in ipairs(workloads) do
    for _, variant in ipairs(workload.variants) do
      for _, peak in pairs(variant.peaks or {}) do
        table.insert(at(at(lists, variant.peak), tostring(variant.threads)), peak)
      end
    end
  end
  for _, by_threads in pairs(lists) do
    for threads, list in pairs(by_threads) do by_threads[threads] = statistics.summary(list) end
  end
  return lists
end

--- The result of what rounds.run left in the workloads. given: machine, threads, rounds, seconds, notes, peers.
function m.build(workloads, given)
  local result = {
    format = m.format, version = m.version, machine = given.machine, threads = given.threads, rounds = given.rounds,
    seconds = given.seconds, notes = given.notes, peaks = peaks(workloads), peers = {}, rows = {},
  }
  for i, library in ipairs(given.peers) do
    result.peers[i] = { name = library.name, title = library.title, version = library.version }
  end
  for _, workload in ipairs(workloads) do
    for _, variant in ipairs(workload.variants) do
      if variant.rates then table.insert(result.rows, row(variant)) end
    end
  end
  return result
end

-- ---- reading a kept one ----

local function is_summary(s)
  if type(s) ~= "table" or type(s.values) ~= "table" then return false end
  for _, key in ipairs { "median", "p10", "p90" } do
    if type(s[key]) ~= "number" then return false end
  end
  return true
end

local function is_row(r)
  local named = type(r) == "table" and type(r.id) == "string"
  return named and is_summary(r.rate) and (r.share == nil or is_summary(r.share))
end

-- Why a decoded value is no result that can be compared with, or nil.
local function refusal(value)
  if type(value) ~= "table" or value.format ~= m.format then
    return ("expected a result of mnistlua bench (format \"%s\")"):format(m.format)
  elseif value.version ~= m.version then
    return ("expected version %d of the format, got %s"):format(m.version, options.show(value.version))
  elseif type(value.rows) ~= "table" then
    return "expected a list of rows"
  end
  for i, r in ipairs(value.rows) do
    if not is_row(r) then return ("row %d: expected an id and the summary of its rate"):format(i) end
  end
end

--- The result kept in a file, or nil and a message.
function m.read(path)
  local text, problem = core.read_file(path, 1 << 24)
  if not text then return nil, problem end
  local value
  value, problem = core.json_decode(text)
  problem = problem or refusal(value)
  if problem then return nil, path .. ": " .. problem end
  return value
end

return m
