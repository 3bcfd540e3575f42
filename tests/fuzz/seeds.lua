-- Small good files for the fuzz targets to begin with: mnistlua tests/fuzz/seeds.lua, with the folder in $SEEDS.
local core = require "mnistlua.core"
local ml = require "mnistlua"

local out = assert(os.getenv "SEEDS", "SEEDS names the folder to write to")

local function write(target, name, bytes)
  assert(core.make_dirs(("%s/%s"):format(out, target)))
  local f = assert(io.open(("%s/%s/%s"):format(out, target, name), "wb"))
  assert(f:write(bytes))
  assert(f:close())
end

-- ---- idx ----

local function idx(kind, ...)
  local sizes, n = { ... }, 1
  local parts = { ("\0\0%s%s"):format(string.char(kind), string.char(#sizes)) }
  for _, size in ipairs(sizes) do parts[#parts + 1], n = (">I4"):pack(size), n * size end
  for i = 1, n do parts[#parts + 1] = string.char(i * 37 % 256) end
  return table.concat(parts)
end

write("idx", "images", idx(8, 3, 4, 5))
write("idx", "labels", idx(8, 6))

-- ---- csv: a byte for the target, then the text ----

write("csv", "plain", "\0" .. "1,0,255,3,4\n0,9,8,7,6\n")
write("csv", "header", "\1" .. 'a,"b c",label\r\n1.5,-2e3,0\r\n')
write("csv", "no-header", "\2" .. "0,1\n1,0.25\n")

-- ---- png: stored deflate blocks, so that its parts are seen ----

local function crc(text)
  local c = 0xffffffff
  for i = 1, #text do
    c = c ~ text:byte(i)
    for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ (c >> 1) or c >> 1 end
  end
  return c ~ 0xffffffff
end

local function chunk(kind, data)
  return (">I4"):pack(#data) .. kind .. data .. (">I4"):pack(crc(kind .. data))
end

local function stored(data)
  local a, b = 1, 0
  for i = 1, #data do
    a = (a + data:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return "\x78\x01\1" .. ("<I2I2"):pack(#data, ~#data & 0xffff) .. data .. (">I2I2"):pack(b, a)
end

local function png(width, height, depth, color, interlaced, data, extra)
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", (">I4I4BBBBB"):pack(width, height, depth, color, 0, 0, interlaced))
    .. (extra or "") .. chunk("IDAT", stored(data)) .. chunk("IEND", "")
end

write("png", "grey", png(3, 2, 8, 0, 0, "\0\1\2\3" .. "\2\4\5\6"))
write("png", "bits", png(9, 2, 1, 0, 0, "\0\xf0\x80" .. "\0\x0f\0"))
write("png", "colours", png(2, 1, 8, 6, 0, "\1\1\2\3\4\5\6\7\8"))
write("png", "sixteen", png(1, 1, 16, 2, 0, "\0\1\2\3\4\5\6"))
write("png", "palette", png(2, 1, 4, 3, 0, "\0\x10", chunk("PLTE", "\1\2\3\4\5\6") .. chunk("tRNS", "\x80")))
write("png", "interlaced", png(1, 1, 8, 4, 1, "\0\7\x80"))

-- ---- prepare: height, width, grey values ----

local function rows(count, ...)
  local row = {}
  for i, part in ipairs { ... } do row[i] = string.char(part[1]):rep(part[2]) end
  return table.concat(row):rep(count)
end

local paper = rows(8, { 250, 30 })
write("prepare", "stroke", "\40\30" .. paper .. rows(24, { 250, 12 }, { 20, 4 }, { 250, 14 }) .. paper)
write("prepare", "shadow", "\60\60" .. rows(20, { 40, 8 }, { 200, 20 }, { 30, 3 }, { 210, 29 }))

-- ---- safetensors ----

assert(core.make_dirs(out .. "/safetensors"))
local tensors = { { "0.weight", ml.ones(2, 3) }, { "0.bias", ml.zeros(2) }, { "n", ml.tensor({ 7 }, "i32") } }
assert(core.safetensors_write(out .. "/safetensors/model", tensors, { format = "pt", note = "a \"quote\"" }))
