-- Protocol Buffers' wire format, as much of it as writing ONNX takes: every function returns the bytes of one field.
-- Messages are their fields put after each other. It knows no message by name.
local m = {}

-- Seven bits a byte, the lowest first, the high bit set on all but the last; negative numbers as unsigned 64-bit.
local function varint(n)
  local bytes = {}
  repeat
    local low = n & 0x7f
    n = n >> 7
    bytes[#bytes + 1] = string.char(n ~= 0 and low | 0x80 or low)
  until n == 0
  return table.concat(bytes)
end

local types = { varint = 0, bytes = 2, fixed32 = 5 }

local function key(field, wire_type) return varint(field << 3 | types[wire_type]) end

--- A whole number or an enum's value.
function m.int(field, n) return key(field, "varint") .. varint(n) end

--- Text, bytes, or another message.
function m.bytes(field, bytes) return key(field, "bytes") .. varint(#bytes) .. bytes end

--- A 32-bit float.
function m.float(field, x) return key(field, "fixed32") .. string.pack("<f", x) end

--- A repeated whole number.
function m.ints(field, list)
  local parts = {}
  for i, n in ipairs(list) do parts[i] = m.int(field, n) end
  return table.concat(parts)
end

return m
