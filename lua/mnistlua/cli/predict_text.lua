-- What `mnistlua predict` shows of a picture: the answer, the most probable classes as bars, and beside them the pixels
-- that the network saw. It prints nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local picture = require "mnistlua.picture"
local plot = require "mnistlua.plot"

local m = {}

-- ---- the picture ----

-- Lines of the picture, each with spaces up to its width.
local function picture_lines(shown)
  local lines, wide = {}, shown.shape[2]
  for line in picture.text(shown):gmatch "([^\n]*)\n" do
    local visible = line:gsub("\27%[[%d;]*m", "")
    lines[#lines + 1] = line .. (" "):rep(wide - (utf8.len(visible) or #visible))
  end
  return lines
end

-- ---- bars ----

local width = 24
local eighths = { [0] = "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function bar(p, fancy)
  local length = p * width
  if not fancy then return ("#"):rep(math.floor(length + 0.5)) end
  local steps = math.floor(length * 8 + 0.5)
  return ("█"):rep(steps // 8) .. eighths[steps % 8]
end

local function percent(p)
  if p > 0.99995 and p < 1 then return ">99.99%" end
  return ("%.2f%%"):format(100 * p)
end

local function class_name(result, class)
  local name = result.names and result.names[class + 1]
  return name and core.escape(name) or tostring(class)
end

local function bar_lines(result, top, fancy)
  local lines, widest = {}, 1
  for i = 1, math.min(top, #result.ranking) do
    widest = math.max(widest, utf8.len(class_name(result, result.ranking[i])) or 1)
  end
  for i = 1, math.min(top, #result.ranking) do
    local class = result.ranking[i]
    local name, p = class_name(result, class), result.probabilities[class + 1]
    local text = ("%s%s  %7s  %s"):format(name, (" "):rep(widest - (utf8.len(name) or 1)), percent(p), bar(p, fancy))
    lines[i] = color.paint_stdout(i == 1 and "green" or "dim", text)
  end
  return lines
end

-- ---- both ----

--- Lines: the file and the answer, then picture and bars side by side. `top`: as many classes.
function m.lines(path, result, top)
  local fancy = plot.utf8()
  local best = result.ranking[1]
  local lines = { color.paint_stdout("bold", ("%s: %s"):format(core.escape(path), class_name(result, best)))
    .. ("  (%s)"):format(percent(result.probabilities[best + 1])) }
  local left, right = picture_lines(result.picture), bar_lines(result, top, fancy)
  for i = 1, math.max(#left, #right) do
    local row = (left[i] or (" "):rep(28)) .. (right[i - 2] and "  " .. right[i - 2] or "")
    lines[#lines + 1] = ("  " .. row):gsub("%s+$", "")
  end
  return lines
end

return m
