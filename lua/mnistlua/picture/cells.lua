-- Pictures drawn with characters: half blocks (a pixel is half a character, in colour), braille (2 x 4 dots to a
-- character, greys by dithering) and ASCII (a darker or lighter character). Each drawer takes a picture whose size is
-- already that of its dots and returns its lines, all as wide as the picture, without a line feed.
local colors = require "mnistlua.picture.colors"
local pixels = require "mnistlua.picture.pixels"

local m = {}

-- ---- half blocks ----

-- The character of two pixels over each other, and its escape code. A missing lower pixel is the terminal's own
-- background.
local function half_cell(upper, lower)
  if upper == lower then return " ", "\27[48;" .. upper .. "m" end
  return "▀", ("\27[38;%s;%sm"):format(upper, lower and "48;" .. lower or "49")
end

local function half_line(picture, row, code)
  local parts, last = {}, nil
  for x = 1, picture.w do
    local upper = code(picture, row * picture.w + x)
    local lower = row + 1 < picture.h and code(picture, (row + 1) * picture.w + x) or nil
    local text, escape = half_cell(upper, lower)
    if escape ~= last then parts[#parts + 1] = escape end
    parts[#parts + 1], last = text, escape
  end
  return table.concat(parts) .. "\27[0m"
end

--- Two pixels to a character, in colours. look: signed, bits (of a colour: 8 or 24).
function m.half(picture, look)
  local code, lines = colors.coder(look.bits, look.signed), {}
  for row = 0, picture.h - 1, 2 do lines[#lines + 1] = half_line(picture, row, code) end
  return lines
end

-- ---- braille ----

-- The bit of the dot at column x (0, 1) and row y (0 to 3).
local dot_bits = { [0] = { [0] = 0x01, 0x02, 0x04, 0x40 }, { [0] = 0x08, 0x10, 0x20, 0x80 } }

-- Adds an error to a pixel that is inside.
local function carry(plane, w, h, x, y, amount)
  if x >= 0 and x < w and y < h then
    local i = y * w + x + 1
    plane[i] = plane[i] + amount
  end
end

-- Floyd and Steinberg's dithering: which pixels are lit, the error of each handed to its neighbours.
local function dithered(picture, signed)
  local w, h, plane, lit = picture.w, picture.h, {}, {}
  for i, v in ipairs(pixels.grey(picture)[1]) do plane[i] = v ~= v and 0 or signed and (v + 1) / 2 or v end
  for y = 0, h - 1 do
    for x = 0, w - 1 do
      local i = y * w + x + 1
      lit[i] = plane[i] >= 0.5
      local left = plane[i] - (lit[i] and 1 or 0)
      carry(plane, w, h, x + 1, y, left * 7 / 16)
      carry(plane, w, h, x - 1, y + 1, left * 3 / 16)
      carry(plane, w, h, x, y + 1, left * 5 / 16)
      carry(plane, w, h, x + 1, y + 1, left * 1 / 16)
    end
  end
  return lit
end

--- Eight dots to a character, lit or not.
function m.braille(picture, look)
  local lit, w, h, lines = dithered(picture, look.signed), picture.w, picture.h, {}
  for top = 0, h - 1, 4 do
    local parts = {}
    for x = 0, w - 1 do
      local bits = parts[x // 2 + 1] or 0
      for y = top, math.min(top + 3, h - 1) do
        if lit[y * w + x + 1] then bits = bits | dot_bits[x % 2][y - top] end
      end
      parts[x // 2 + 1] = bits
    end
    for i, bits in ipairs(parts) do parts[i] = bits == 0 and " " or utf8.char(0x2800 + bits) end
    lines[#lines + 1] = table.concat(parts)
  end
  return lines
end

-- ---- ASCII ----

local ramp, positive, negative = " .:-=+*#%@", " .:+*#@", " ,-~oO0"

local function ascii_of(v, signed)
  if v ~= v then return "?" end
  local text = not signed and ramp or v < 0 and negative or positive
  local i = math.floor(math.abs(v) * (#text - 1) + 0.5) + 1
  return text:sub(i, i)
end

--- A character for every pixel, which is twice as high as it is wide.
function m.ascii(picture, look)
  local plane, lines = pixels.grey(picture)[1], {}
  for y = 0, picture.h - 1 do
    local parts = {}
    for x = 1, picture.w do parts[x] = ascii_of(plane[y * picture.w + x], look.signed) end
    lines[y + 1] = table.concat(parts)
  end
  return lines
end

return m
