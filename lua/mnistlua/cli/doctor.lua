-- mnistlua doctor: what this machine has and can do, what mnistlua makes of it, and which command mends what is amiss.
-- It looks, measures for about a second and changes nothing; a problem is a hint, never an error.
local advice = require "mnistlua.cli.doctor_advice"
local arguments = require "mnistlua.cli.arguments"
local check = require "mnistlua.data.check"
local core = require "mnistlua.core"
local files = require "mnistlua.data.files"
local json = require "mnistlua.json"
local machine = require "mnistlua.machine"
local outcome = require "mnistlua.cli.outcome"
local precision = require "mnistlua.precision"
local text = require "mnistlua.cli.doctor_text"

local m = { about = "look at this machine: processor, measured peaks, data" }

function m.options(parser)
  arguments.add(parser, "threads", "data_dir", "json")
end

-- ---- measuring ----

local seconds = 0.15   -- for each peak

-- Much more than the last cache holds, but never much of the memory.
local function read_bytes(facts)
  local wanted = math.max(4 * (facts.caches.L3 or 0), 1 << 28)
  local most = math.min(1 << 30, (facts.memory_available or 1 << 30) // 4, (facts.memory_limit or 1 << 32) // 4)
  return math.max(1 << 24, math.min(wanted, most))
end

local function peaks_of(facts)
  local list, all = {}, core.threads()
  local function add(kind, threads, unit, bytes)
    local best, median = core.peak { kind = kind, threads = threads, seconds = seconds, bytes = bytes }
    if best then
      list[#list + 1] = { kind = kind, threads = threads, best = best, median = median, unit = unit, bytes = bytes }
    end
  end
  for _, kind in ipairs { "f32", "amx" } do
    add(kind, 1, "FLOP/s")
    if all > 1 then add(kind, all, "FLOP/s") end
  end
  add("read", all, "B/s", read_bytes(facts))
  return list
end

-- ---- all that is found ----

local function look()
  local facts = machine.facts()
  local usable, status = core.amx()
  facts.version, facts.build = core.version, core.build()
  facts.isa, facts.best_isa = core.isa(), core.best_isa()
  facts.amx, facts.amx_status, facts.precision_auto = usable, status, precision.resolve "auto"
  facts.threads, facts.allowed_processors = core.threads(), core.processors()
  facts.data = {}
  for i, set in ipairs(files.sets) do facts.data[i] = check.check(set.name) end
  facts.peaks = peaks_of(facts)
  facts.hints = advice.hints(facts)
  return facts
end

function m.run(args)
  local waiting = core.isatty(1) and core.isatty(2) and not args.json
  if waiting then io.stderr:write "measuring ..." end
  local facts = look()
  if waiting then io.stderr:write "\r\27[K" end
  if args.json then print(json.encode(facts)) else text.show(facts, core.isatty(1) or args.color == "always") end
  return outcome.exit.done
end

return m
