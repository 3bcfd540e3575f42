-- The colours of pictures: values to red, green and blue, those to one of the terminal's 256 colours or to 24 bits, and
-- escape codes. It decides nothing; terminal.lua knows what the terminal can.
local m = {}

-- Stops of the scales of signed values: red, green and blue in 0..255 at equal distances. Zero is black.
local positive = { { 0, 0, 0 }, { 128, 16, 8 }, { 226, 60, 24 }, { 255, 150, 60 }, { 255, 232, 170 } }
local negative = { { 0, 0, 0 }, { 10, 36, 140 }, { 30, 96, 230 }, { 80, 170, 255 }, { 180, 240, 255 } }

-- The same scales in the 256 colours, chosen so that small values have the right hue, too.
local positive_256 = { 16, 52, 88, 124, 160, 196, 202, 208, 214, 222, 230 }
local negative_256 = { 16, 17, 18, 19, 20, 26, 32, 38, 75, 117, 159 }

local function on_scale(stops, v)
  local at = v * (#stops - 1)
  local i = math.min(math.floor(at), #stops - 2)
  local a, b, t = stops[i + 1], stops[i + 2], at - i
  return a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t, a[3] + (b[3] - a[3]) * t
end

local function channel(v) return v == v and math.floor(v * 255 + 0.5) or 255 end

--- Red, green and blue (whole numbers 0..255) of a picture's pixel number i. Greys, or blue for negative and red for
--- positive values where `signed`; magenta for NaN. In a picture in colours signed zero is the middle of each.
function m.rgb(picture, i, signed)
  local v = picture[1][i]
  if picture[3] then
    local g, b = picture[2][i], picture[3][i]
    if signed then v, g, b = (v + 1) / 2, (g + 1) / 2, (b + 1) / 2 end
    return channel(v), channel(g), channel(b)
  end
  if v ~= v then return 255, 0, 255 end
  if not signed then
    local level = channel(v)
    return level, level, level
  end
  local r, g, b = on_scale(v < 0 and negative or positive, math.abs(v))
  return math.floor(r + 0.5), math.floor(g + 0.5), math.floor(b + 0.5)
end

-- ---- 256 colours: 16..231 are a cube of 6 levels, 232..255 greys ----

local levels = { 0, 95, 135, 175, 215, 255 }

local function nearest_level(v)
  if v < 48 then return 0 elseif v < 115 then return 1 end
  return math.min((v - 35) // 40, 5)
end

local function distance(r, g, b, r2, g2, b2) return (r - r2) ^ 2 + (g - g2) ^ 2 + (b - b2) ^ 2 end

--- The nearest of the 256 colours, from 16 on: the first 16 are whatever the user chose.
function m.palette(r, g, b)
  local i, j, k = nearest_level(r), nearest_level(g), nearest_level(b)
  local cube = distance(r, g, b, levels[i + 1], levels[j + 1], levels[k + 1])
  local step = math.max(0, math.min(((r + g + b) // 3 - 3) // 10, 23))
  local grey = 8 + 10 * step
  if distance(r, g, b, grey, grey, grey) < cube then return 232 + step end
  return 16 + 36 * i + 6 * j + k
end

local function signed_256(v)
  if v ~= v then return 201 end
  local scale = v < 0 and negative_256 or positive_256
  return scale[math.floor(math.abs(v) * (#scale - 1) + 0.5) + 1]
end

--- A function (picture, i) -> the middle of the escape code for pixel number i: "5;243" of 256 colours, "2;10;20;30"
--- with 24 bits.
function m.coder(bits, signed)
  if bits == 24 then
    return function(picture, i) return ("2;%d;%d;%d"):format(m.rgb(picture, i, signed)) end
  end
  return function(picture, i)
    if signed and not picture[3] then return ("5;%d"):format(signed_256(picture[1][i])) end
    return ("5;%d"):format(m.palette(m.rgb(picture, i, signed)))
  end
end

return m
