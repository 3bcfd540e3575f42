-- Curves drawn with characters: braille dots (2 x 4 to a character) where the terminal speaks UTF-8, plain ASCII
-- elsewhere. Several curves lie over each other in colours; where there are none, each is drawn with a letter. It
-- returns lines and prints nothing.
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

-- A canvas of so many characters. Each cell knows its dots, and the series that set them.
local function new_canvas(width, height, fine)
  local cells = {}
  for row = 1, height do cells[row] = {} end
  return setmetatable({
    cells = cells, width = width, height = height, fine = fine, dots_x = fine and 2 or 1, dots_y = fine and 4 or 1,
  }, Canvas)
end

-- Sets the dot of a series at column x from the left and row y from the bottom, both from 0.
function Canvas:dot(x, y, series)
  y = self.height * self.dots_y - 1 - y
  local row, column = y // self.dots_y + 1, x // self.dots_x + 1
  local cell = self.cells[row][column] or { bits = 0 }
  self.cells[row][column] = cell
  if self.fine then cell.bits = cell.bits | braille_bits[x % 2][y % 4] end
  if cell[#cell] ~= series then cell[#cell + 1] = series end
end

-- Dots from (x1, y1) to (x2, y2), without gaps.
function Canvas:line(x1, y1, x2, y2, series)
  local steps = math.max(math.abs(x2 - x1), math.abs(y2 - y1), 1)
  for i = 0, steps do
    local t = i / steps
    self:dot(math.floor(x1 + (x2 - x1) * t + 0.5), math.floor(y1 + (y2 - y1) * t + 0.5), series)
  end
end

-- What a cell shows, and the series whose it is: where curves coincide they take turns, so that none hides another.
local function shown(canvas, cell, column, marked)
  if cell then
    local series = cell[column % #cell + 1]
    return canvas.fine and utf8.char(0x2800 + cell.bits) or series.mark or "*", series
  elseif marked[column] then
    return canvas.fine and "┊" or ":"
  end
  return " "
end

-- Row number `row` from the top as text, without spaces at its end; empty cells of the columns in `marked` show a bar.
-- Neighbours of one colour are painted at once.
function Canvas:row(row, marked)
  local parts, span, owner = {}, "", nil
  local function close(trailing)
    if not owner and trailing then span = span:gsub(" +$", "") end
    parts[#parts + 1] = owner and owner.paint and owner.paint(span) or span
  end
  for column = 1, self.width do
    local text, series = shown(self, self.cells[row][column], column, marked)
    if series ~= owner then
      close(false)
      span, owner = "", series
    end
    span = span .. text
  end
  close(true)
  return table.concat(parts)
end

-- ---- axes ----

local function range(lists)
  local low, high = math.huge, -math.huge
  for _, values in ipairs(lists) do
    for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
  end
  local size = math.max(math.abs(low), math.abs(high))
  if high - low > 1e-12 * size then return low, high end
  local room = size > 0 and size / 2 or 0.5        -- one value, but for rounding
  return low - room, high + room
end

-- Where the powers of ten are between two logarithms, as { position 0..1, label }.
local function decades(low, high)
  local list = {}
  for power = math.ceil(low - 1e-9), math.floor(high + 1e-9) do
    list[#list + 1] = { (power - low) / (high - low), ("1e%d"):format(power) }
  end
  return list
end

-- Round numbers between low and high, some six of them; whole ones if that is wanted.
local function round_numbers(low, high, whole)
  local rough = math.max((high - low) / 6, whole and 1 or 0)
  local power = 10 ^ math.floor(math.log(rough, 10) + 1e-9)
  local step = 10 * power
  for _, factor in ipairs { 5, 2, 1 } do
    if factor * power >= rough * (1 - 1e-9) then step = factor * power end
  end
  local list = {}
  for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do
    list[#list + 1] = { (i * step - low) / (high - low), ("%.6g"):format(i * step) }
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

-- ---- curves ----

local function logs(values)
  local list = {}
  for i, value in ipairs(values) do list[i] = math.log(value, 10) end
  return list
end

-- The series as they are drawn: coordinates on the axes, which may be logarithmic.
local function place(series, options)
  local placed = {}
  for i, s in ipairs(series) do
    placed[i] = { xs = options.log_x and logs(s.xs) or s.xs, ys = options.log_y and logs(s.ys) or s.ys, look = s }
  end
  return placed
end

local function bounds(placed)
  local xs, ys = {}, {}
  for i, s in ipairs(placed) do xs[i], ys[i] = s.xs, s.ys end
  local left, right = range(xs)
  local bottom, top = range(ys)
  return left, right, bottom, top
end

-- The rows of the plot with the scale of y in front of them, then the axis.
local function frame(canvas, bottom, top, marked, options)
  local lines, height, fine = {}, canvas.height, options.utf8
  local function caption(y)
    return options.caption and options.caption(options.log_y and 10 ^ y or y)
      or ("%8.3g"):format(options.log_y and 10 ^ y or y)
  end
  local captions = { [(height + 1) // 2] = caption((top + bottom) / 2) }
  captions[1], captions[height] = caption(top), caption(bottom)
  for i = 1, height do
    local text = captions[i] or ""
    lines[i] = ("%s%s %s%s"):format((" "):rep(8 - #text), text, fine and "│" or "|", canvas:row(i, marked))
  end
  lines[#lines + 1] = (" "):rep(9) .. (fine and "└" or "+") .. (fine and "─" or "-"):rep(canvas.width)
  return lines
end

--- Curves over each other, as lines of text. series: a list of { xs =, ys =, mark = a letter, paint = function(text) },
--- whose xs and ys are lists of as many finite numbers, x ascending; without paint, the letter is what is drawn.
--- options: width and height in characters, of the plot itself (60, 12); utf8; log_x, log_y (then all numbers are above
--- 0); whole (x is labelled at whole numbers); caption, a function that gives a value of y as text of at most 8
--- characters; mark, an x where a dotted line stands.
function m.curves(series, options)
  local width, height = options.width or 60, options.height or 12
  local dots = options.utf8 and (#series == 1 or series[1].paint ~= nil)
  local canvas, placed = new_canvas(width, height, dots), place(series, options)
  local left, right, bottom, top = bounds(placed)
  local function column(x) return math.floor((x - left) / (right - left) * (width * canvas.dots_x - 1) + 0.5) end
  local function row(y) return math.floor((y - bottom) / (top - bottom) * (height * canvas.dots_y - 1) + 0.5) end
  for _, s in ipairs(placed) do
    for i = 1, #s.xs do
      local from = math.max(i - 1, 1)
      canvas:line(column(s.xs[from]), row(s.ys[from]), column(s.xs[i]), row(s.ys[i]), s.look)
    end
  end
  local marked = {}
  if options.mark then
    marked[column(options.log_x and math.log(options.mark, 10) or options.mark) // canvas.dots_x + 1] = true
  end
  local lines = frame(canvas, bottom, top, marked, options)
  local labels = options.log_x and decades(left, right) or round_numbers(left, right, options.whole)
  lines[#lines + 1] = label_line(labels, width, 10)
  return lines
end

--- One curve over a logarithmic x.
function m.curve(xs, ys, options)
  local o = { log_x = true }
  for key, value in pairs(options) do o[key] = value end
  return m.curves({ { xs = xs, ys = ys } }, o)
end

return m
