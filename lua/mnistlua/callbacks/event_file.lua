-- The bytes of a TensorBoard event file: records of protocol-buffer messages, each with two masked CRC-32Cs. It opens
-- no file; tensorboard.lua does.
--
--   record   u64 length, u32 crc of these 8 bytes, data, u32 crc of the data; all little-endian
--   Event    1 wall_time double, 2 step int64, 3 file_version string, 5 summary
--   Summary  1 value, repeated: { 1 tag string, 2 simple_value float }
local m = {}

-- ---- CRC-32C (Castagnoli), reflected ----

local crc_of_byte = {}
for byte = 0, 255 do
  local c = byte
  for _ = 1, 8 do c = c & 1 == 1 and c >> 1 ~ 0x82F63B78 or c >> 1 end
  crc_of_byte[byte] = c
end

--- The CRC-32C of a text.
function m.crc32c(text)
  local c, of_byte, byte = 0xFFFFFFFF, crc_of_byte, string.byte
  for i = 1, #text do c = of_byte[(c ~ byte(text, i)) & 255] ~ c >> 8 end
  return c ~ 0xFFFFFFFF
end

-- The form that records have it in: turned by 15 bits, and a constant added.
local function masked(text)
  local c = m.crc32c(text)
  return (c >> 15 | c << 17) + 0xA282EAD8 & 0xFFFFFFFF
end

-- ---- messages ----

local function varint(n)
  local bytes = {}
  repeat
    local low = n & 127
    n = n >> 7
    bytes[#bytes + 1] = string.char(n ~= 0 and low | 128 or low)
  until n == 0
  return table.concat(bytes)
end

-- A field's key is its number times 8, plus 0 (varint), 1 (8 bytes), 2 (length and bytes) or 5 (4 bytes).
local function bytes_field(number, bytes) return varint(number << 3 | 2) .. varint(#bytes) .. bytes end

local function event(time, step, rest)
  return string.pack("<Bd", 1 << 3 | 1, time) .. "\x10" .. varint(step) .. rest
end

local function record(data)
  local length = string.pack("<I8", #data)
  return length .. string.pack("<I4", masked(length)) .. data .. string.pack("<I4", masked(data))
end

--- The record that a file begins with.
function m.version(time) return record(event(time, 0, bytes_field(3, "brain.Event:2"))) end

--- A record of scalars: a list of { tag, value }.
function m.scalars(time, step, list)
  local values = {}
  for i, entry in ipairs(list) do
    values[i] = bytes_field(1, bytes_field(1, entry[1]) .. string.pack("<Bf", 2 << 3 | 5, entry[2]))
  end
  return record(event(time, step, bytes_field(5, table.concat(values))))
end

--- The length of the records at the beginning of a text that are complete.
function m.whole(text)
  local at = 0
  while #text - at >= 16 do
    local left, length = #text - at - 16, string.unpack("<I8", text, at + 1)
    if length < 0 or length > left then break end
    at = at + 16 + length
  end
  return at
end

return m
