-- A curve drawn with characters: braille dots (2 x 4 to a character) where the terminal speaks UTF-8, plain ASCII
-- elsewhere. It returns lines and prints nothing.
local m = {}

--- Whether this program's locale says UTF-8.
function m.utf8()
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = os.getenv(name)
    if value and value ~= "" then return value:upper():find "UTF%-?8" ~= nil end
  end
  return false
end

-- ---- dots ----

-- The bit of a braille character for the dot at column x (0, 1) and row y (0 to 3) of its cell.
local braille_bits = { [0] = { [0] = 0x01, 0x02, 0x04, 0x40 }, { [0] = 0x08, 0x10, 0x20, 0x80 } }

local Canvas = {}
Canvas.__index = Canvas

-- A canvas of so many characters.
local function new_canvas(width, height, fine)
  local cells = {}
  for row = 1, height do cells[row] = {} end
  return setmetatable({
    cells = cells, width = width, height = height, fine = fine, dots_x = fine and 2 or 1, dots_y = fine and 4 or 1,
  }, Canvas)
end

-- Sets the dot at column x from the left and row y from the bottom, both from 0.
function Canvas:dot(x, y)
  y = self.height * self.dots_y - 1 - y
  local row, column = y // self.dots_y + 1, x // self.dots_x + 1
  if not self.fine then
    self.cells[row][column] = "*"
  else
    self.cells[row][column] = (self.cells[row][column] or 0) | braille_bits[x % 2][y % 4]
  end
end

-- Dots from (x1, y1) to (x2, y2), without gaps.
function Canvas:line(x1, y1, x2, y2)
  local steps = math.max(math.abs(x2 - x1), math.abs(y2 - y1), 1)
  for i = 0, steps do
    local t = i / steps
    self:dot(math.floor(x1 + (x2 - x1) * t + 0.5), math.floor(y1 + (y2 - y1) * t + 0.5))
  end
end

-- Row number `row` from the top as text; empty cells of the columns in `marked` show a bar.
function Canvas:row(row, marked)
  local parts = {}
  for column = 1, self.width do
    local cell = self.cells[row][column]
    if cell then
      parts[column] = self.fine and utf8.char(0x2800 + cell) or cell
    else
      parts[column] = marked[column] and (self.fine and "┊" or ":") or " "
    end
  end
  return (table.concat(parts):gsub(" +$", ""))
end

-- ---- axes ----

local function range(values)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
  if low == high then low, high = low - 0.5, high + 0.5 end
  return low, high
end

-- Where the powers of ten are between two logarithms, as { position 0..1, label }.
local function decades(low, high)
  local list = {}
  for power = math.ceil(low - 1e-9), math.floor(high + 1e-9) do
    list[#list + 1] = { (power - low) / (high - low), ("1e%d"):format(power) }
  end
  return list
end

-- The labels below the axis, each centred at its place if there is room.
local function label_line(labels, width, indent)
  local line, used = (" "):rep(indent), indent
  for _, label in ipairs(labels) do
    local at = math.max(indent + math.floor(label[1] * (width - 1) + 0.5) - #label[2] // 2, indent)
    if at >= used + (used > indent and 1 or 0) then
      line = line .. (" "):rep(at - used) .. label[2]
      used = at + #label[2]
    end
  end
  return line
end

--- The curve of ys over xs (lists of as many finite numbers, x ascending and above 0) as lines of text. options: width
--- and height in characters, of the plot itself (60, 12); utf8; mark, an x where a dotted line stands. The x axis is
--- logarithmic.
function m.curve(xs, ys, options)
  local width, height, fine = options.width or 60, options.height or 12, options.utf8
  local canvas, logs = new_canvas(width, height, fine), {}
  for i, x in ipairs(xs) do logs[i] = math.log(x, 10) end
  local left, right = range(logs)
  local bottom, top = range(ys)
  local function column(x) return math.floor((x - left) / (right - left) * (width * canvas.dots_x - 1) + 0.5) end
  local function row(y) return math.floor((y - bottom) / (top - bottom) * (height * canvas.dots_y - 1) + 0.5) end
  for i = 1, #logs do
    local from = math.max(i - 1, 1)
    canvas:line(column(logs[from]), row(ys[from]), column(logs[i]), row(ys[i]))
  end
  local marked = {}
  if options.mark then marked[column(math.log(options.mark, 10)) // canvas.dots_x + 1] = true end
  local lines, corner, bar, dash = {}, fine and "└" or "+", fine and "│" or "|", fine and "─" or "-"
  local captions = { [(height + 1) // 2] = (top + bottom) / 2 }
  captions[1], captions[height] = top, bottom
  for i = 1, height do
    local caption = captions[i] and ("%8.3g"):format(captions[i]) or (" "):rep(8)
    lines[i] = ("%s %s%s"):format(caption, bar, canvas:row(i, marked))
  end
  lines[#lines + 1] = (" "):rep(9) .. corner .. dash:rep(width)
  lines[#lines + 1] = label_line(decades(left, right), width, 10)
  return lines
end

return m
