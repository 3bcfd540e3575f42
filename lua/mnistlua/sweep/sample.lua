-- The trials of a sweep: points of its space (space.lua), all of a grid or as many at random as are wanted. Pure: the
-- same space and seed give the same trials in the same order, and more trials begin with the fewer ones.
--
-- A trial's point is a list of texts, one for each dimension, as key=value takes them.
local m = {}

local largest_grid = 100000   -- points that are listed to be shuffled; of more, trials are drawn one by one

-- ---- random numbers ----

-- SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
local function mix(z)
  z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
  z = (z ~ (z >> 27)) * 0x94d049bb133111eb
  return z ~ (z >> 31)
end

local golden = 0x9e3779b97f4a7c15

--- A function that returns the numbers in [0, 1) of stream n of a seed, one after the other.
function m.stream(seed, n)
  local state = mix(mix(seed + golden) + n)
  return function()
    state = state + golden
    return (mix(state) >> 11) * 2.0 ^ -53
  end
end

-- ---- points ----

-- Rounded as one would type it, but never out of the range.
local function text_of(x, digits, low, high)
  local text = ("%." .. digits .. "g"):format(x)
  local rounded = tonumber(text)
  if rounded < low or rounded > high then text = ("%.17g"):format(rounded < low and low or high) end
  return text
end

local draw = {
  log = function(d, u)
    local low, high = math.log(d.low), math.log(d.high)
    return text_of(math.exp(low + u * (high - low)), 4, d.low, d.high)
  end,
  uniform = function(d, u) return text_of(d.low + u * (d.high - d.low), 6, d.low, d.high) end,
  int = function(d, u) return ("%d"):format(d.low + math.floor(u * (d.high - d.low + 1))) end,
}

--- The value that u in [0, 1) stands for in a dimension.
function m.value(d, u)
  if d.values then return d.values[1 + math.floor(u * #d.values)] end
  return draw[d.kind](d, u)
end

-- Point number i (from 0) of a grid; the last dimension goes fastest.
local function grid_point(dimensions, i)
  local point = {}
  for k = #dimensions, 1, -1 do
    local values = dimensions[k].values
    point[k] = values[1 + i % #values]
    i = i // #values
  end
  return point
end

local function grid_size(dimensions)
  local size = 1
  for _, d in ipairs(dimensions) do size = d.values and size * #d.values or math.huge end
  return size
end

--- All points of a space of lists.
function m.grid(dimensions)
  local points = {}
  for i = 1, grid_size(dimensions) do points[i] = grid_point(dimensions, i - 1) end
  return points
end

-- The numbers 0..n-1 in the seed's order (Fisher-Yates).
local function shuffled(n, seed)
  local order, random = {}, m.stream(seed, 0)
  for i = 1, n do order[i] = i - 1 end
  for i = n, 2, -1 do
    local j = 1 + math.floor(random() * i)
    order[i], order[j] = order[j], order[i]
  end
  return order
end

--- At most `count` different points at random; fewer where the space has no more (of a small range of whole numbers
--- some may be missed).
function m.random(dimensions, count, seed)
  local points, seen, size = {}, {}, grid_size(dimensions)
  if size <= largest_grid then
    local order = shuffled(size, seed)
    for i = 1, math.min(count, size) do points[i] = grid_point(dimensions, order[i]) end
    return points
  end
  for attempt = 1, 50 * count + 1000 do
    local random, point = m.stream(seed, attempt), {}
    for k, d in ipairs(dimensions) do point[k] = m.value(d, random()) end
    local key = table.concat(point, "\0")
    if not seen[key] then points[#points + 1], seen[key] = point, true end
    if #points == count then break end
  end
  return points
end

return m
