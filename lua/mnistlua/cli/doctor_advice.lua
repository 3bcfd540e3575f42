-- What `mnistlua doctor` advises: each function looks at the facts and returns a hint, or nil. A hint says what was
-- found and which command mends it.
local files = require "mnistlua.data.files"

local m = {}

-- ---- data ----

local function name_of(path) return path:match "[^/]*$" end

local function files_in_state(set, state)
  local names = {}
  for _, file in ipairs(set.files) do
    if file.state == state then names[#names + 1] = name_of(file.path) end
  end
  return table.concat(names, " and ")
end

local function title_of(set) return files.set(set.name).title end

-- Only of MNIST is it worth a hint that nothing is there.
local function missing_data(set)
  if set.missing == #set.files then
    return set.name == "mnist"
      and ("MNIST is not in %s: %s fetches it (11 MB). Without it, --data digits trains on built-in digits.")
        :format(set.folder, files.fetch_command "mnist")
  elseif set.missing > 0 then
    return ("%s lacks %s: %s fetches what is missing."):format(set.folder, files_in_state(set, "missing"),
      files.fetch_command(set.name))
  end
end

-- A file that is not compressed is read before its .gz, so it has to go before a new one can take its place.
local function damaged_data(set)
  for _, file in ipairs(set.files) do
    if file.state == "damaged" then
      local plain = not file.path:find "%.gz$"
      return ("%s. Mend it with %s%s."):format(file.problem,
        plain and ("rm %s && "):format(files.quoted(file.path)) or "", files.fetch_command(set.name))
    end
  end
end

local function other_data(set)
  if set.state ~= "other" then return nil end
  return ("%s in %s can be read, but are not %s as published: accuracies cannot be compared with others'.")
    :format(files_in_state(set, "other"), set.folder, title_of(set))
end

-- ---- processor ----

local function held_back(facts)
  if facts.isa == facts.best_isa then return nil end
  return ("MNISTLUA_ISA keeps the program to %s; this CPU runs %s: unset MNISTLUA_ISA."):format(facts.isa,
    facts.best_isa)
end

-- CPUID says that there is AMX, but it cannot be used, and not because the user turned it off.
local function refused(facts)
  if facts.amx or facts.isa ~= facts.best_isa then return nil end
  for _, name in ipairs(facts.features) do
    if name == "amx_bf16" then
      return ("this CPU has AMX, but it cannot be used (%s): it needs Linux 5.16 or newer, and a container or "
        .. "virtual machine that lets arch_prctl through."):format(facts.amx_status)
    end
  end
end

local function crowded(facts)
  if facts.threads <= facts.allowed_processors then return nil end
  return ("%d threads share %d processors: more than one thread on each makes nothing faster; use --threads %d.")
    :format(facts.threads, facts.allowed_processors, facts.allowed_processors)
end

local function throttled(facts)
  if not facts.quota or facts.quota >= facts.threads - 0.01 then return nil end
  return ("the system grants this process the time of %.3g processors; %d threads will be stopped again and again: use "
    .. "--threads %d."):format(facts.quota, facts.threads, math.max(1, math.floor(facts.quota)))
end

local function best_of(facts, kind, threads)
  for _, peak in ipairs(facts.peaks) do
    if peak.kind == kind and peak.threads == threads then return peak.best end
  end
end

-- The lowest share that a median is of its peak.
local function steadiness(facts)
  local least = 1
  for _, peak in ipairs(facts.peaks) do
    if peak.kind ~= "read" then least = math.min(least, peak.median / peak.best) end
  end
  return least
end

local function neighbours(facts)
  local least = steadiness(facts)
  if least >= 0.85 then return nil end
  return ("something else is computing on this machine: half of the time a peak was below %.0f%% of its best. Compare "
    .. "speeds only within one run."):format(100 * least)
end

-- Threads that share cores. Where there is another reason for a low figure, that one is told.
local function scaling(facts)
  local one, all = best_of(facts, "f32", 1), best_of(facts, "f32", facts.threads)
  if not (one and all) or crowded(facts) or throttled(facts) or neighbours(facts) then return nil end
  local times = all / one
  if times >= 0.7 * facts.threads then return nil end
  return ("%d threads reach only %.1f times the peak of one: they may share cores; compare "
    .. "--threads %d."):format(facts.threads, times, math.max(1, math.floor(times + 0.5)))
end

-- ---- program ----

local function slow_build(facts)
  for _, option in ipairs(facts.build.options) do
    if option == "not optimised" or option:find "sanitizer" then
      return ("this program is built for testing (%s) and slow; `make` builds the fast one."):format(option)
    end
  end
end

local of_data = { missing_data, damaged_data, other_data }
local all = { held_back, refused, crowded, throttled, neighbours, scaling, slow_build }

--- The hints on what was found, as a list of sentences.
function m.hints(facts)
  local list = {}
  for _, set in ipairs(facts.data) do
    for _, hint in ipairs(of_data) do list[#list + 1] = hint(set) or nil end
  end
  for _, hint in ipairs(all) do list[#list + 1] = hint(facts) end
  return list
end

return m
