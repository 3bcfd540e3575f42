-- Pictures beside each other as pixels of the screen, which is what sixel.lua and kitty.lua encode: one row of a grid.
-- It knows no terminal.
--
-- A strip is { widths, rows, tall, width, height }: widths in pixels of its columns (one for each column of each
-- picture, and those between them), rows of colours, one for each column (r << 16 | g << 8 | b; false where nothing is
-- painted), each `tall` pixels high; width and height of the whole in pixels, which are whole characters.
local colors = require "mnistlua.picture.colors"
local pixels = require "mnistlua.picture.pixels"

local m = {}

-- A plane with so many steps from `low` to 1 as its only values.
local function rounded(plane, low, steps)
  local out, size = {}, (1 - low) / steps
  for i, v in ipairs(plane) do out[i] = v ~= v and v or low + math.floor((v - low) / size + 0.5) * size end
  return out
end

-- At most 64 greys, 63 signed values or 216 colours, so that a palette has room for them.
local function with_few_colors(picture, signed)
  local out, steps = { w = picture.w, h = picture.h }, picture[3] and 5 or signed and 62 or 63
  for i, plane in ipairs(picture) do out[i] = rounded(plane, signed and -1 or 0, steps) end
  return out
end

-- How many pixels of the screen each pixel of a picture takes, so that `room` pixels hold its width; the picture is
-- made smaller where that is less than one.
local function magnified(picture, room, signed)
  local k = room // picture.w
  if k >= 1 then return picture, k end
  local height = math.max(1, math.floor(picture.h * room / picture.w + 0.5))
  return pixels.resized(picture, room, height, signed), 1
end

local function add_picture(strip, picture, k, room, signed)
  for x = 1, picture.w do
    strip.widths[#strip.widths + 1] = k
    for y = 1, picture.h do
      local r, g, b = colors.rgb(picture, (y - 1) * picture.w + x, signed)
      strip.rows[y][#strip.widths] = r << 16 | g << 8 | b
    end
  end
  return room - k * picture.w
end

local function add_space(strip, width)
  if width <= 0 then return end
  strip.widths[#strip.widths + 1] = width
  for _, row in ipairs(strip.rows) do row[#strip.widths] = false end
end

--- Pictures of one size beside each other. `columns` characters for each and `gap` between them, of cell_width x
--- cell_height pixels; few: colours for a palette of 256.
function m.new(pictures, columns, gap, cell_width, cell_height, signed, few)
  local strip, room = { widths = {}, rows = {} }, columns * cell_width
  local space = 0
  for i, picture in ipairs(pictures) do
    local shown, k = magnified(picture, room, signed)
    if few then shown = with_few_colors(shown, signed) end
    if i == 1 then
      for y = 1, shown.h do strip.rows[y] = {} end
      strip.tall = k
    end
    add_space(strip, space)
    space = add_picture(strip, shown, k, room, signed) + gap * cell_width
  end
  add_space(strip, space - gap * cell_width)
  strip.columns = #pictures * (columns + gap) - gap
  strip.lines = math.ceil(#strip.rows * strip.tall / cell_height)
  strip.width, strip.height = strip.columns * cell_width, strip.lines * cell_height
  return strip
end

return m
