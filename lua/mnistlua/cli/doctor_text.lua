-- How `mnistlua doctor` shows what it found: lines of at most 79 columns, a label and its text, then the peaks.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local files = require "mnistlua.data.files"

local m = {}

local width, indent = 79, 15

-- ---- numbers ----

local function bytes(n)
  for _, unit in ipairs { { "GB", 1 << 30 }, { "MB", 1 << 20 }, { "KB", 1 << 10 } } do
    if n >= unit[2] then return (("%.1f %s"):format(n / unit[2], unit[1]):gsub("%.0 ", " ")) end
  end
  return n .. " bytes"
end

local function count(n, noun) return ("%d %s%s"):format(n, noun, n == 1 and "" or "s") end

-- ---- lines ----

-- Words in lines that begin after the label; a longer word has a line of its own.
local function wrapped(label, text)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and utf8.len(line .. " " .. word, 1, -1, true) > width - indent then
      lines[#lines + 1], line = line, word
    else
      line = line and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line or ""
  local space = (" "):rep(indent)
  return label .. (" "):rep(indent - #label) .. table.concat(lines, "\n" .. space)
end

local function show(label, fmt, ...)
  print(wrapped(label, core.escape(fmt:format(...))))
end

local function caches(facts)
  local parts = {}
  for level = 1, 4 do
    local name = "L" .. level
    local size = facts.caches[name]
    if size then parts[#parts + 1] = name .. " " .. bytes(size) end
  end
  return #parts > 0 and table.concat(parts, ", ") or "unknown"
end

local function threads(facts)
  local text = ("%d, on %s"):format(facts.threads, count(facts.allowed_processors, "processor"))
  if facts.processors and facts.processors > facts.allowed_processors then
    text = ("%s of %d (by affinity)"):format(text, facts.processors)
  end
  if facts.quota then text = ("%s; granted the time of %.3g"):format(text, facts.quota) end
  if facts.load then text = ("%s; load %.1f"):format(text, facts.load) end
  return text
end

local function memory(facts)
  if not facts.memory then return "unknown" end
  local text = bytes(facts.memory)
  if facts.memory_available then text = ("%s, %s available"):format(text, bytes(facts.memory_available)) end
  if facts.memory_limit then text = ("%s; limited to %s"):format(text, bytes(facts.memory_limit)) end
  return text
end

local states = { good = "as published", other = "another content", read = "readable", damaged = "damaged",
  missing = "missing" }

-- One line for a whole data set, or one that is not there; otherwise a line for each file, too.
local function data(set)
  local title, name = files.set(set.name).title, set.name
  if set.state == "good" then
    local total = 0
    for _, file in ipairs(set.files) do total = total + file.bytes end
    return show(title, "in %s: complete, %s as published (%s)", set.folder, set.by_content and "content" or "sizes",
      bytes(total))
  elseif set.missing == #set.files and name ~= "mnist" then
    return show(title, "not there; %s fetches it (%s)", files.fetch_command(name), files.set(name).size)
  end
  show(title, "in %s: %s", set.folder, set.missing == #set.files and "missing" or "not as it should be")
  if set.missing == #set.files then return end
  for _, file in ipairs(set.files) do
    local size = file.bytes and (", %s"):format(bytes(file.bytes)) or ""
    show("", "%s: %s%s", file.path:match "[^/]*$", states[file.state], size)
  end
end

-- ---- peaks ----

local titles = { f32 = "f32", amx = "bf16 on AMX", read = "memory, read" }

local function show_peaks(facts)
  print(("\n%-28s %9s %9s"):format("peaks, measured now", "best", "median"))
  for _, peak in ipairs(facts.peaks) do
    local large = peak.best >= 1e12 and peak.kind ~= "read"
    local scale, unit = large and 1e-12 or 1e-9, (large and "T" or "G") .. peak.unit
    local format = large and "%9.2f %9.2f" or "%9.1f %9.1f"
    local title = titles[peak.kind] .. (peak.kind == "f32" and " (" .. facts.isa .. ")" or "")
    print(("  %-26s %s  %s"):format(title .. ", " .. count(peak.threads, "thread"),
      format:format(scale * peak.best, scale * peak.median), unit))
  end
end

local function show_hints(hints, colored)
  for _, hint in ipairs(hints) do
    local lines = wrapped("hint:", core.escape(hint))
    print("\n" .. (colored and lines:gsub("^hint:", color.paint("yellow", "hint:")) or lines))
  end
end

--- Prints what was found.
function m.show(facts, colored)
  show("program", "mnistlua %s, %s", facts.version, facts.build.lua)
  show("built with", "%s; %s", facts.build.compiler, table.concat(facts.build.options, ", "))
  show("processor", "%s", facts.model or "unknown")
  show("caches", "%s", caches(facts))
  show("instructions", "%s in use; found: %s", facts.isa, table.concat(facts.features, " "))
  show("AMX", "%s", facts.amx_status)
  show("threads", "%s", threads(facts))
  show("memory", "%s", memory(facts))
  for _, set in ipairs(facts.data) do data(set) end
  show_peaks(facts)
  print()
  show("precision", "--precision auto chooses %s here%s", facts.precision_auto,
    facts.amx and "" or "; bf16 and bf16x3 are emulated: the same bits, slower")
  show_hints(facts.hints, colored)
end

return m
