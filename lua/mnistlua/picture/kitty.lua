-- A strip of pictures in kitty's graphics protocol: red, green, blue and opacity of every pixel in base64, in pieces of
-- at most 4096 characters. The terminal fits it into a number of characters; the cursor ends in its last line.
local m = {}

-- ---- base64 ----

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- The two characters of each 12 bits.
local pairs_of = {}

local function fill()
  for i = 0, 4095 do
    local high, low = i // 64 + 1, i % 64 + 1
    pairs_of[i] = alphabet:sub(high, high) .. alphabet:sub(low, low)
  end
end

local function base64(bytes)
  if not pairs_of[0] then fill() end
  local parts, whole = {}, #bytes - #bytes % 3
  for i = 1, whole, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local bits = a << 16 | b << 8 | c
    parts[#parts + 1] = pairs_of[bits >> 12] .. pairs_of[bits & 4095]
  end
  local a, b = bytes:byte(whole + 1, #bytes)
  if b then
    local bits = a << 16 | b << 8
    parts[#parts + 1] = pairs_of[bits >> 12] .. alphabet:sub((bits >> 6 & 63) + 1, (bits >> 6 & 63) + 1) .. "="
  elseif a then
    parts[#parts + 1] = pairs_of[a << 4] .. "=="
  end
  return table.concat(parts)
end

-- ---- pixels ----

local clear = "\0\0\0\0"

local function row_bytes(row, widths)
  local parts = {}
  for column, color in ipairs(row) do
    local pixel = color and string.char(color >> 16, color >> 8 & 255, color & 255, 255) or clear
    parts[column] = pixel:rep(widths[column])
  end
  return table.concat(parts)
end

local function bytes_of(strip)
  local parts = {}
  for y, row in ipairs(strip.rows) do parts[y] = row_bytes(row, strip.widths):rep(strip.tall) end
  parts[#parts + 1] = clear:rep(strip.width * (strip.height - #strip.rows * strip.tall))
  return table.concat(parts)
end

local piece = 4096

--- The escape sequences that draw a strip; the terminal does not answer.
function m.encode(strip)
  local data, parts = base64(bytes_of(strip)), {}
  for at = 1, #data, piece do
    local head = at == 1 and ("a=T,f=32,s=%d,v=%d,c=%d,r=%d,q=2,"):format(strip.width, strip.height, strip.columns,
      strip.lines) or ""
    local more = at + piece <= #data and 1 or 0
    parts[#parts + 1] = ("\27_G%sm=%d;%s\27\\"):format(head, more, data:sub(at, at + piece - 1))
  end
  return table.concat(parts)
end

return m
