-- The numbers of a tensor as other formats want them: in a flat list, or as bytes. Used by the writers of this folder.
local m = {}

local at_once = 128   -- values that one call of string.pack is given

--- All values of a tensor, row by row.
function m.list(tensor) return tensor:reshape(-1):totable() end

local function pack(format, values)
  local parts = {}
  for first = 1, #values, at_once do
    local last = math.min(first + at_once - 1, #values)
    parts[#parts + 1] = string.pack("<" .. format:rep(last - first + 1), table.unpack(values, first, last))
  end
  return table.concat(parts)
end

--- Values as f32, little-endian.
function m.f32(values) return pack("f", values) end

--- Values as 64-bit whole numbers, little-endian.
function m.i64(values) return pack("i8", values) end

--- How many values a shape has.
function m.count(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

return m
