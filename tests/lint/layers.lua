-- Checks who may include whom (src/README.md): base <- kernels <- tensor <- {ops, optim, data, io} <- bind <- main.
-- Siblings never include each other, and only bind and main.c include Lua's headers.
local rank = { base = 1, kernels = 2, tensor = 3, ops = 4, optim = 4, data = 4, io = 4, bind = 5, main = 6 }
local found = 0

local function report(file, line, fmt, ...)
  print(("%s:%d: %s"):format(file, line, fmt:format(...)))
  found = found + 1
end

local function check_include(file, line, layer, name)
  if name:find "^lua[%w]*%.h" or name == "lauxlib.h" then
    if rank[layer] < rank.bind then report(file, line, "%s includes %s; only src/bind knows Lua", layer, name) end
    return
  end
  local other = name:match "^(%w+)/"
  if not other or not rank[other] then return end
  if other ~= layer and rank[other] >= rank[layer] then
    report(file, line, "%s includes %s; allowed are only layers below it", layer, name)
  end
end

local list = assert(io.popen "find src -name '*.[ch]' | LC_ALL=C sort")
for file in list:lines() do
  local layer = file:match "^src/(%w+)/" or "main"
  if not rank[layer] then report(file, 1, "no layer is called '%s'", layer) end
  local number = 0
  for text in io.lines(file) do
    number = number + 1
    local name = text:match '^%s*#%s*include%s*["<]([^">]+)[">]'
    if name and rank[layer] then check_include(file, number, layer, name) end
  end
end
list:close()
os.exit(found == 0)
