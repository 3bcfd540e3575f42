-- Tables of text for stdout: columns as wide as their widest entry, numbers to the right, colours outside of the
-- padding. It prints nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"

local m = {}

local function width_of(text) return utf8.len(text) or #text end

--- The columns that stdout has room for: the terminal's, or none (math.huge) where it is none.
function m.room() return core.isatty(1) and core.terminal_width() or math.huge end

--- text cut to a width, which three dots at its end tell.
function m.cut(text, width)
  if width_of(text) <= width then return text end
  if width < 4 then return ("."):rep(math.max(width, 0)) end
  return text:sub(1, (utf8.offset(text, width - 2) or width - 2) - 1) .. "..."
end

--- text with spaces to a width, before it if it is a number's.
function m.pad(text, width, right)
  local space = (" "):rep(math.max(0, width - width_of(text)))
  return right and space .. text or text .. space
end

local function widths_of(columns, rows)
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = width_of(column.title)
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], width_of(row[i] or "")) end
  end
  return widths
end

-- The last column gets what room the others leave.
local function line(columns, widths, cells, room, paint)
  local parts, used = {}, 0
  for i, column in ipairs(columns) do
    local text = cells[i] or ""
    if i == #columns then text = m.cut(text, room - used) end
    local padded = i == #columns and not column.right and text or m.pad(text, widths[i], column.right)
    parts[i] = color.paint_stdout(paint(i), padded)
    used = used + widths[i] + 2
  end
  return (table.concat(parts, "  "):gsub("%s+$", ""))
end

--- Lines for columns { title =, right = } and rows, which are lists of texts; row.colors[i] names the colour of an
--- entry. The last column is cut where a line would be wider than `room`.
function m.lines(columns, rows, room)
  local widths, lines = widths_of(columns, rows), {}
  local titles = {}
  for i, column in ipairs(columns) do titles[i] = column.title end
  lines[1] = line(columns, widths, titles, room, function() return "dim" end)
  for _, row in ipairs(rows) do
    lines[#lines + 1] = line(columns, widths, row, room, function(i) return row.colors and row.colors[i] end)
  end
  return lines
end

return m
