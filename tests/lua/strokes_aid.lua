-- Digits as people draw them, for tests: strokes of several widths, turned, of any size and at any place, dark on light
-- or light on dark, and what photographs add to that: paper that is not white, uneven light, a shadow, a dark border,
-- specks, ruled lines, noise. Its strokes are its own: nothing here is shared with ml.data.digits or src/data. Also
-- pictures as PNG files. It needs plain Lua only.
local m = {}

-- ---- random numbers, the same everywhere ----

local Random = {}
Random.__index = Random

--- A generator: r(), r(low, high), r:pick(list).
function m.random(seed) return setmetatable({ state = seed * 2654435761 + 1 }, Random) end

function Random:__call(low, high)
  local z = self.state + 0x9e3779b97f4a7c15
  self.state = z
  z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
  z = (z ~ z >> 27) * 0x94d049bb133111eb
  local unit = ((z ~ z >> 31) >> 11) * 2.0 ^ -53
  return (low or 0) + unit * ((high or 1) - (low or 0))
end

function Random:pick(list) return list[1 + math.floor(self(0, #list))] end

-- ---- skeletons, in a box 0.64 wide and 1 high, y downwards ----

-- Points along an ellipse from angle a to b, in turns; 0 is right, 0.25 below.
local function arc(cx, cy, rx, ry, a, b)
  local points, steps = {}, math.max(4, math.ceil(math.abs(b - a) * 20))
  for i = 0, steps do
    local t = 2 * math.pi * (a + (b - a) * i / steps)
    points[#points + 1] = { cx + rx * math.cos(t), cy + ry * math.sin(t) }
  end
  return points
end

local function joined(...)
  local points = {}
  for _, part in ipairs { ... } do table.move(part, 1, #part, #points + 1, points) end
  return points
end

-- Every digit: ways to write it, each a list of strokes.
local ways = {
  [0] = {
    { arc(0.32, 0.5, 0.30, 0.5, -0.25, 0.75) },
    { arc(0.32, 0.5, 0.24, 0.5, -0.2, 0.85) },
    { arc(0.32, 0.5, 0.36, 0.48, -0.3, 0.68) },
  },
  {
    { { { 0.32, 0 }, { 0.32, 1 } } },
    { { { 0.40, 0 }, { 0.26, 1 } } },
    { { { 0.17, 0.2 }, { 0.36, 0 }, { 0.36, 1 } } },
  },
  {
    { joined(arc(0.32, 0.28, 0.28, 0.28, -0.48, 0.12), { { 0.05, 1 }, { 0.62, 1 } }) },
    { joined(arc(0.32, 0.25, 0.26, 0.25, -0.45, 0.1), { { 0.3, 0.72 }, { 0.04, 0.98 }, { 0.62, 0.95 } }) },
  },
  {
    { joined(arc(0.28, 0.25, 0.28, 0.25, -0.45, 0.23), arc(0.28, 0.74, 0.32, 0.26, -0.24, 0.42)) },
    { joined({ { 0.05, 0.02 }, { 0.55, 0.02 }, { 0.28, 0.4 } }, arc(0.27, 0.7, 0.32, 0.3, -0.24, 0.42)) },
  },
  {
    { { { 0.12, 0.02 }, { 0.04, 0.55 }, { 0.62, 0.55 } }, { { 0.5, 0.05 }, { 0.46, 1 } } },
    { { { 0.10, 0.05 }, { 0.08, 0.5 }, { 0.55, 0.48 } }, { { 0.56, 0 }, { 0.52, 1 } } },
  },
  {
    { joined({ { 0.56, 0.01 }, { 0.12, 0.01 }, { 0.08, 0.42 } }, arc(0.28, 0.69, 0.31, 0.31, -0.36, 0.4)) },
    {
      joined({ { 0.14, 0.04 }, { 0.1, 0.46 } }, arc(0.27, 0.7, 0.3, 0.3, -0.36, 0.4)),
      { { 0.14, 0.04 }, { 0.6, 0.02 } },
    },
  },
  {
    { joined({ { 0.45, 0 }, { 0.2, 0.3 } }, arc(0.31, 0.7, 0.27, 0.3, 0.5, -0.5)) },
    { joined({ { 0.38, 0 }, { 0.12, 0.4 }, { 0.06, 0.72 } }, arc(0.3, 0.74, 0.25, 0.25, 0.48, -0.52)) },
  },
  {
    { { { 0.04, 0.03 }, { 0.6, 0.03 }, { 0.25, 1 } } },
    { { { 0.04, 0.06 }, { 0.6, 0.02 }, { 0.42, 0.4 }, { 0.3, 1 } } },
    { { { 0.04, 0.03 }, { 0.6, 0.03 }, { 0.26, 1 } }, { { 0.22, 0.5 }, { 0.58, 0.46 } } },
  },
  {
    { arc(0.32, 0.25, 0.23, 0.25, 0.25, 1.25), arc(0.32, 0.74, 0.29, 0.26, -0.25, 0.75) },
    { joined({ { 0.52, 0.12 } }, arc(0.32, 0.24, 0.22, 0.24, -0.1, -0.62), { { 0.32, 0.5 }, { 0.55, 0.65 } },
      arc(0.32, 0.76, 0.26, 0.24, 0, 0.5), { { 0.08, 0.68 }, { 0.32, 0.5 }, { 0.52, 0.34 }, { 0.52, 0.12 } }) },
  },
  {
    { joined(arc(0.31, 0.27, 0.25, 0.27, 0, -1), { { 0.54, 0.3 }, { 0.48, 1 } }) },
    { joined(arc(0.3, 0.28, 0.25, 0.26, -0.05, -1), { { 0.56, 0.3 }, { 0.55, 0.6 }, { 0.36, 1 } }) },
  },
}

-- A way to write it as straight segments in pixels: bent a little, slanted, turned, scaled, moved.
local function segments_of(digit, o, r)
  local way, list = ways[digit][1 + (o.way or 0) % #ways[digit]], {}
  local sin, cos = math.sin(math.rad(o.turn)), math.cos(math.rad(o.turn))
  local wave, phase = o.bend * r(-1, 1), r(0, 6.28)
  local function moved(p)
    local x, y = (p[1] - 0.32) * o.aspect, p[2] - 0.5
    x, y = x - o.slant * y + wave * math.sin(4 * y + phase), y + wave * math.cos(4 * x + phase)
    return { o.x + o.height * (x * cos - y * sin), o.y + o.height * (x * sin + y * cos) }
  end
  for _, stroke in ipairs(way) do
    for i = 2, #stroke do list[#list + 1] = { moved(stroke[i - 1]), moved(stroke[i]) } end
  end
  return list
end

-- ---- ink ----

-- The pixels between a and b and `reach` beyond, of `size`.
local function span(a, b, reach, size)
  return math.max(0, math.floor(math.min(a, b) - reach)), math.min(size - 1, math.ceil(math.max(a, b) + reach))
end

-- How much of each pixel is ink: a list of values for the pixels that have some, by index from 1.
local function ink_of(segments, width, height, stroke)
  local near, reach = {}, stroke / 2 + 1
  for _, s in ipairs(segments) do
    local ax, ay, bx, by = s[1][1], s[1][2], s[2][1], s[2][2]
    local dx, dy = bx - ax, by - ay
    local squared = math.max(dx * dx + dy * dy, 1e-9)
    local left, right = span(ax, bx, reach, width)
    local top, bottom = span(ay, by, reach, height)
    for y = top, bottom do
      for x = left, right do
        local t = math.max(0, math.min(1, ((x - ax) * dx + (y - ay) * dy) / squared))
        local ox, oy = x - ax - t * dx, y - ay - t * dy
        local d, i = ox * ox + oy * oy, y * width + x + 1
        if d < reach * reach and d < (near[i] or math.huge) then near[i] = d end
      end
    end
  end
  for i, d in pairs(near) do near[i] = math.max(0, math.min(1, (stroke + 1) / 2 - math.sqrt(d))) end
  return near
end

-- ---- photographs ----

-- What multiplies the light at (x, y), both from 0 to 1.
local lights = {
  even = function() return 1 end,
  slope = function(x, y, r) return 1 - r.depth * (r.cos * (x - 0.5) + r.sin * (y - 0.5) + 0.5) end,
  lamp = function(x, y, r) return 1 - 0.9 * r.depth * ((x - r.x) ^ 2 + (y - r.y) ^ 2) end,
  shadow = function(x, y, r)
    local along = r.side == 1 and x or r.side == 2 and 1 - x or r.side == 3 and y or 1 - y
    return 1 - r.depth / (1 + math.exp((along - r.where) / r.soft))
  end,
}

local function light_of(name, r)
  local angle, f = r(0, 6.28), lights[name]
  local given = { depth = r(0.3, 0.55), cos = 0.7 * math.cos(angle), sin = 0.7 * math.sin(angle), x = r(0.2, 0.8),
    y = r(0.2, 0.8), side = r:pick { 1, 2, 3, 4 }, where = r(0.08, 0.2), soft = r(0.015, 0.05) }
  return function(x, y) return f(x, y, given) end
end

-- A table or a cloth beside the paper, along one side: the values of its pixels, or nil on paper.
local function border_of(o, r)
  local side, wide, tilt = r:pick { 1, 2, 3, 4 }, r(0.03, 0.12), r(-0.03, 0.03)
  return function(x, y)
    local along, across = x, y
    if side == 2 then along = 1 - x end
    if side == 3 then along, across = y, x elseif side == 4 then along, across = 1 - y, x end
    return along < wide + tilt * (across - 0.5) and o.border or nil
  end
end

local function add_specks(values, o, r)
  for _ = 1, o.specks do
    local x, y, size = math.floor(r(0, o.width)), math.floor(r(0, o.height_of_picture)), math.floor(r(1, 2.99))
    for j = y, math.min(y + size, o.height_of_picture) - 1 do
      for i = x, math.min(x + size, o.width) - 1 do values[j * o.width + i + 1] = o.ink end
    end
  end
end

-- ---- a picture ----

--- A picture of a digit: { width, height, bytes (a string, rows of grey values), digit }. Options: width and
--- height_of_picture; height, x and y of the digit (its middle) in pixels; stroke, in pixels; turn (degrees), slant,
--- aspect, bend, way; paper and ink (grey values); light (even, slope, lamp, shadow); border (a grey value, or nil);
--- specks; lines (the distance of ruled lines, or nil); noise (standard deviation).
function m.draw(digit, o, r)
  local width, height = o.width, o.height_of_picture
  local ink = ink_of(segments_of(digit, o, r), width, height, o.stroke)
  local light, border = light_of(o.light, r), o.border and border_of(o, r)
  local values = {}
  for y = 0, height - 1 do
    local ruled = o.lines and y % o.lines == 0
    for x = 0, width - 1 do
      local i, u, v = y * width + x + 1, (x + 0.5) / width, (y + 0.5) / height
      local paper = ruled and o.paper + 0.25 * (o.ink - o.paper) or o.paper
      local value = paper + (o.ink - paper) * (ink[i] or 0)
      values[i] = border and border(u, v) or value * light(u, v)
    end
  end
  add_specks(values, o, r)
  local bytes = {}
  for i = 1, #values do
    local noise = o.noise > 0 and o.noise * 1.7 * (r() + r() + r() - 1.5) * 1.18 or 0
    bytes[i] = math.floor(math.max(0, math.min(255, values[i] + noise)) + 0.5)
  end
  local rows = {}
  for y = 0, height - 1 do rows[y + 1] = string.char(table.unpack(bytes, y * width + 1, (y + 1) * width)) end
  return { width = width, height = height, bytes = table.concat(rows), digit = digit }
end

--- Options for m.draw, drawn from r: a digit as it may be found in a drawing program, or with `photo` on a photograph.
function m.options(r, photo)
  local width, height = math.floor(r(60, 260)), math.floor(r(60, 260))
  local size = math.min(width, height) * r(0.35, 0.8)
  local room_x, room_y = width / 2 - 0.45 * size, height / 2 - 0.55 * size
  local dark = r() < 0.6
  local o = {
    width = width, height_of_picture = height, height = size, stroke = size * r(0.03, 0.16),
    x = width / 2 + r(-0.9, 0.9) * math.max(room_x, 0), y = height / 2 + r(-0.9, 0.9) * math.max(room_y, 0),
    turn = r(-12, 12), slant = r(-0.1, 0.3), aspect = r(0.8, 1.15), bend = 0.05, way = math.floor(r(0, 6)),
    paper = dark and 255 or 0, ink = dark and r(0, 60) or r(200, 255), light = "even", specks = 0, noise = 0,
  }
  if not photo then return o end
  o.paper, o.ink = dark and r(150, 235) or r(25, 70), dark and r(15, 70) or r(170, 245)
  o.light, o.noise = r:pick { "even", "slope", "lamp", "shadow" }, r(0, 9)
  o.stroke = math.max(o.stroke, 2)
  if r() < 0.3 then                       -- a border hides no part of the digit
    o.border = dark and r(5, 60) or r(120, 200)
    o.height, o.stroke = o.height * 0.8, o.stroke * 0.8
    o.x, o.y = width / 2 + 0.4 * (o.x - width / 2), height / 2 + 0.4 * (o.y - height / 2)
  end
  if r() < 0.4 then o.specks = math.floor(r(1, 8)) end
  if dark and r() < 0.2 then o.lines = math.floor(r(14, 30)) end
  return o
end

-- ---- PNG ----

local function crc32(text)
  local crc = 0xffffffff
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1) * 0xedb88320 end
  end
  return crc ~ 0xffffffff
end

local function chunk(name, data)
  return (">I4"):pack(#data) .. name .. data .. (">I4"):pack(crc32(name .. data))
end

-- A zlib stream of stored blocks.
local function stored(data)
  local parts, a, b = { "\x78\x01" }, 1, 0
  for at = 1, #data, 65535 do
    local part = data:sub(at, at + 65534)
    parts[#parts + 1] = ("<BI2I2"):pack(at + 65535 > #data and 1 or 0, #part, ~#part & 0xffff) .. part
  end
  for i = 1, #data do
    a = (a + data:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return table.concat(parts) .. (">I4"):pack(b << 16 | a)
end

--- A picture as the bytes of a PNG file: 8-bit grey, or with `rgb` 8-bit colour.
function m.png(picture, rgb)
  local rows = {}
  for y = 1, picture.height do
    local row = picture.bytes:sub((y - 1) * picture.width + 1, y * picture.width)
    rows[y] = "\0" .. (rgb and row:gsub(".", "%0%0%0") or row)
  end
  local head = (">I4I4BBBBB"):pack(picture.width, picture.height, 8, rgb and 2 or 0, 0, 0, 0)
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", head) .. chunk("IDAT", stored(table.concat(rows))) .. chunk("IEND", "")
end

return m
