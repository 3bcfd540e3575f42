-- What measure.lua found as lines of text: a table of classes, the confusion matrix, the most frequent mistakes. It
-- prints nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local measure = require "mnistlua.inspect.measure"
local progress = require "mnistlua.train.progress"
local terminal = require "mnistlua.picture.terminal"
local text_table = require "mnistlua.cli.text_table"

local m = {}

-- The name of a label as the tables have it: "3", "3 Dress".
local function name_of(label, names, width)
  local name = names and names[label + 1]
  if not name then return ("%d"):format(label) end
  return text_table.cut(("%d %s"):format(label, core.escape(name)), width)
end

local function percent(value) return value and progress.percent(value) or "-" end

--- The table of classes: how many samples each has, precision, recall and F1.
function m.classes(classes, names, room)
  local columns, rows = {
    { title = "class" }, { title = "count", right = true }, { title = "precision", right = true },
    { title = "recall", right = true }, { title = "f1", right = true },
  }, {}
  for i, c in ipairs(classes) do
    rows[i] = {
      name_of(c.label, names, 24), progress.thousands(c.count), percent(c.precision), percent(c.recall), percent(c.f1),
    }
  end
  return text_table.lines(columns, rows, room)
end

-- The colour of an entry: right ones green, mistakes yellow, red where they are 5% of their class.
local function color_of(i, j, times, of)
  if times == 0 then return "dim" end
  if i == j then return "green" end
  return times >= 0.05 * of and "red" or "yellow"
end

-- Backgrounds in the 256 colours for shares of a class, the least first: right ones, mistakes.
local greens, reds = { 235, 236, 22, 22, 28, 28, 34 }, { 235, 52, 88, 124, 160, 196 }

-- Where there are that many colours, the darker or brighter ground of an entry tells its share of the class; mistakes
-- of a fifth are as bright as can be.
local function shaded(right, share, text)
  local scale = right and greens or reds
  local level = right and share or math.min(1, math.sqrt(share * 5))
  return ("\27[48;5;%d;38;5;255m%s\27[0m"):format(scale[math.ceil(level * (#scale - 1)) + 1], text)
end

local function widest(confusion)
  local most = #confusion - 1
  for _, row in ipairs(confusion) do
    for _, times in ipairs(row) do most = math.max(most, times) end
  end
  return #("%d"):format(most)
end

local function matrix_row(i, row, width, label)
  local parts, of = { label }, 0
  for _, times in ipairs(row) do of = of + times end
  for j, times in ipairs(row) do
    local text = text_table.pad(times > 0 and ("%d"):format(times) or ".", width + 1, true)
    if times > 0 and terminal.color_bits "auto" then
      parts[#parts + 1] = shaded(i == j, times / of, text)
    else
      parts[#parts + 1] = color.paint_stdout(color_of(i, j, times, of), text)
    end
  end
  return table.concat(parts)
end

local function labels_of(confusion, names, width)
  local labels, longest = {}, 0
  for i = 1, #confusion do
    labels[i] = name_of(i - 1, names, width)
    longest = math.max(longest, utf8.len(labels[i]) or #labels[i])
  end
  for i, label in ipairs(labels) do labels[i] = text_table.pad(label, longest) end
  return labels, longest
end

--- The confusion matrix, a row for each class and a column for each prediction; nil where it is wider than `room`.
function m.matrix(confusion, names, room)
  local width, n = widest(confusion), #confusion
  local left = room - n * (width + 1)
  if left < 3 then return nil end
  local labels, longest = labels_of(confusion, names, math.min(left, 20))
  if longest > left then return nil end
  local head = { (" "):rep(longest) }
  for j = 1, n do head[#head + 1] = text_table.pad(("%d"):format(j - 1), width, true) end
  local lines = { color.paint_stdout("dim", table.concat(head, " ")) }
  for i, row in ipairs(confusion) do lines[#lines + 1] = matrix_row(i, row, width, labels[i]) end
  return lines
end

--- The most frequent mistakes as lines, at most n.
function m.mistakes(confusion, names, n)
  local lines = {}
  for i, mistake in ipairs(measure.mistakes(confusion, n)) do
    lines[i] = ("%s taken for %s: %s"):format(name_of(mistake[1], names, 24), name_of(mistake[2], names, 24),
      progress.thousands(mistake[3]))
  end
  return lines
end

return m
