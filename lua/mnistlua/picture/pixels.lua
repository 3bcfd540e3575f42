-- From a tensor to pictures as lists of numbers, and pictures in another size. Called by init.lua; it knows nothing of
-- terminals.
--
-- A picture is { w =, h =, plane } or, in colours, { w =, h =, red, green, blue }. A plane is a list of w * h numbers,
-- row by row: 0..1 of the range shown, or -1..1 where the sign is shown.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

local most = 1 << 20     -- values of a picture that become Lua numbers; a larger one is reduced before

local function shape_text(shape) return #shape > 0 and table.concat(shape, "x") or "a scalar" end

-- How many pictures, of how many planes, how high, how wide.
local function layout(t, where)
  local s = t.shape
  if #s == 2 then return 1, 1, s[1], s[2] end
  if #s == 3 then return s[1], 1, s[2], s[3] end
  if #s == 4 and (s[2] == 1 or s[2] == 3) then return s[1], s[2], s[3], s[4] end
  options.fail(("%s: expected a tensor [h, w], [n, h, w], [n, 1, h, w] or [n, 3, h, w], got %s"):format(where,
    shape_text(s)))
end

-- Means of whole blocks of a picture that is larger than any terminal: f32 [n, h, w] -> smaller.
local function reduced(t, h, w)
  local k = math.ceil(math.sqrt(h * w / most))
  local kh, kw = math.min(k, h), math.min(k, w)
  t = t:to("f32"):reshape(#t, 1, h, w):avg_pool2d({ kh, kw })
  return t, t.shape[3], t.shape[4]
end

--- The pictures in a tensor, values as they are; and the least and the greatest finite one (0, 0 where there is none).
--- `where` begins the message of a tensor that holds no pictures.
function m.read(t, where)
  if options.kind(t) ~= "tensor" then
    options.fail(("%s: expected a tensor, got %s"):format(where, options.show(t)))
  end
  local n, planes, h, w = layout(t, where)
  if n * planes * h * w == 0 then options.fail(("%s: there is nothing in a tensor of %s"):format(where,
    shape_text(t.shape))) end
  local recording = core.recording(false)
  t = t:detach():reshape(n * planes, h, w)
  if h * w > most then t, h, w = reduced(t, h, w) end
  local rows = t:reshape(n * planes, h * w):totable()
  core.recording(recording)
  local pictures = {}
  for i = 1, n do
    pictures[i] = table.move(rows, (i - 1) * planes + 1, i * planes, 1, { w = w, h = h })
  end
  return pictures
end

--- The least and the greatest finite value in pictures; 0 and 0 where there is none.
function m.range(pictures)
  local low, high = math.huge, -math.huge
  for _, picture in ipairs(pictures) do
    for _, plane in ipairs(picture) do
      for _, v in ipairs(plane) do
        if v < low and v > -math.huge then low = v end
        if v > high and v < math.huge then high = v end
      end
    end
  end
  if low > high then return 0, 0 end
  return low, high
end

--- Brings the values of pictures from low..high to 0..1, in place; what lies outside is cut off, NaN stays.
function m.scale(pictures, low, high)
  local factor = high > low and 1 / (high - low) or 0
  for _, picture in ipairs(pictures) do
    for _, plane in ipairs(picture) do
      for i, v in ipairs(plane) do
        if v == v then plane[i] = v <= low and 0 or v >= high and 1 or (v - low) * factor end
      end
    end
  end
end

--- Brings them to -1..1 in place: zero stays zero, `largest` becomes 1.
function m.scale_signed(pictures, largest)
  local factor = largest > 0 and 1 / largest or 0
  for _, picture in ipairs(pictures) do
    for _, plane in ipairs(picture) do
      for i, v in ipairs(plane) do
        if v == v then plane[i] = v <= -largest and -1 or v >= largest and 1 or v * factor end
      end
    end
  end
end

-- What each of n places of a line of `from` values is made of: lists of { value's number from 0, its share }.
local function shares(from, n)
  local list = {}
  for i = 0, n - 1 do
    local first, last, part = i * from / n, (i + 1) * from / n, {}
    for j = math.floor(first), math.ceil(last - 1e-9) - 1 do
      part[#part + 1] = { j, (math.min(last, j + 1) - math.max(first, j)) * n / from }
    end
    list[i + 1] = part
  end
  return list
end

local function resized_plane(plane, w, across, down)
  local out, line = {}, {}
  for _, rows in ipairs(down) do
    for x = 0, w - 1 do
      local sum = 0
      for _, share in ipairs(rows) do sum = sum + plane[share[1] * w + x + 1] * share[2] end
      line[x] = sum
    end
    for _, columns in ipairs(across) do
      local sum = 0
      for _, share in ipairs(columns) do sum = sum + line[share[1]] * share[2] end
      out[#out + 1] = sum
    end
  end
  return out
end

local function power(plane, exponent)
  local out = {}
  for i, v in ipairs(plane) do out[i] = v ^ exponent end
  return out
end

--- A picture in another size: each new pixel is the mean of the area that it covers. The mean of greys and colours is
--- that of their light (levels ^ 2.2), so that thin strokes stay as bright as they look; signed values are numbers.
function m.resized(picture, w, h, signed)
  if w == picture.w and h == picture.h then return picture end
  local across, down, out = shares(picture.w, w), shares(picture.h, h), { w = w, h = h }
  for i, plane in ipairs(picture) do
    if signed then
      out[i] = resized_plane(plane, picture.w, across, down)
    else
      out[i] = power(resized_plane(power(plane, 2.2), picture.w, across, down), 1 / 2.2)
    end
  end
  return out
end

--- A picture in colours as one plane of brightness; others as they are.
function m.grey(picture)
  if not picture[3] then return picture end
  local out, plane = { w = picture.w, h = picture.h }, {}
  for i, red in ipairs(picture[1]) do plane[i] = 0.299 * red + 0.587 * picture[2][i] + 0.114 * picture[3][i] end
  out[1] = plane
  return out
end

return m
