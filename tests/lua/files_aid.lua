-- Files for the tests of data: a folder of its own, IDX and PNG files from lists of numbers.
local core = require "mnistlua.core"

local m = {}

--- A new folder; m.remove deletes it.
function m.folder()
  local dir = os.tmpname()
  os.remove(dir)
  assert(core.make_dirs(dir))
  return dir
end

function m.remove(dir) os.execute(("rm -rf '%s'"):format(dir)) end

--- Writes a file and the folders that it is in.
function m.write(path, text)
  assert(core.make_dirs((path:match "^(.*)/")))
  assert(core.write_file(path, text))
  return path
end

--- An IDX file of bytes with these sizes; values is a string, or one byte for all.
function m.idx(sizes, values)
  local count, text = 1, ("\0\0\8" .. string.char(#sizes))
  for _, size in ipairs(sizes) do text, count = text .. string.pack(">I4", size), count * size end
  return text .. (#values == 1 and values:rep(count) or values)
end

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ (c >> 1) or c >> 1 end
  crc_table[i] = c
end

local function crc(text)
  local c = 0xffffffff
  for i = 1, #text do c = crc_table[(c ~ text:byte(i)) & 255] ~ (c >> 8) end
  return c ~ 0xffffffff
end

local function adler(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

local function chunk(name, data)
  return string.pack(">I4", #data) .. name .. data .. string.pack(">I4", crc(name .. data))
end

--- A PNG file of width x height grey pixels (a string of bytes), or of colours with 3 bytes a pixel; packed as a stored
--- block, so at most 65535 bytes.
function m.png(width, height, pixels)
  local color = #pixels == 3 * width * height
  local stride, rows = #pixels // height, {}
  for y = 0, height - 1 do rows[y + 1] = "\0" .. pixels:sub(y * stride + 1, (y + 1) * stride) end
  local raw = table.concat(rows)
  local packed = "\x78\x01\1" .. string.pack("<I2I2", #raw, ~#raw & 0xffff) .. raw .. string.pack(">I4", adler(raw))
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", string.pack(">I4I4BBBBB", width, height, 8, color and 2 or 0, 0, 0, 0))
    .. chunk("IDAT", packed) .. chunk("IEND", "")
end

return m
