-- What Linux says about this machine: processor, caches, memory, load, and how much of it this process is granted. All
-- from the text files of /proc and /sys; what is not there is nil. `mnistlua doctor` shows it.
local m = {}

local function contents(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read "a"
  file:close()
  return text or ""
end

-- ---- processor ----

--- Instruction sets worth telling, of the many names in /proc/cpuinfo.
local told = {
  "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "amx_tile", "amx_bf16",
  "asimd", "sve", "bf16",
}

local function features(cpuinfo)
  local has, list = {}, {}
  for word in (cpuinfo:match "flags%s*:([^\n]*)" or cpuinfo:match "Features%s*:([^\n]*)" or ""):gmatch "%S+" do
    has[word] = true
  end
  for _, name in ipairs(told) do
    if has[name] then list[#list + 1] = name end
  end
  return list
end

local suffix = { K = 1 << 10, M = 1 << 20, G = 1 << 30 }

-- Bytes of each level's cache for data: { L1 = 32768, L2 = 524288, L3 = 33554432 }.
local function caches(root)
  local sizes = {}
  for i = 0, 9 do
    local folder = ("%s/sys/devices/system/cpu/cpu0/cache/index%d/"):format(root, i)
    local level = contents(folder .. "level"):match "^%d"
    local amount, unit = contents(folder .. "size"):match "^(%d+)([KMG])"
    if level and amount and not contents(folder .. "type"):find "Instruction" then
      sizes["L" .. level] = tonumber(amount) * suffix[unit]
    end
  end
  return sizes
end

-- ---- control groups ----

-- The folders of this process's control group, innermost first: its path and every parent, as they are mounted. A
-- container often sees only its own root, which is the last of them.
local function group_folders(root, controller)
  local path, base = nil, root .. "/sys/fs/cgroup"
  for id, names, found in contents(root .. "/proc/self/cgroup"):gmatch "(%d+):([^:\n]*):([^\n]*)" do
    if ("," .. names .. ","):find("," .. controller .. ",", 1, true) then
      path, base = found, root .. "/sys/fs/cgroup/" .. controller
      break
    elseif id == "0" then
      path = found
    end
  end
  local list = {}
  path = (path or ""):gsub("/+$", "")
  while path ~= "" do
    list[#list + 1] = base .. path
    path = path:match "^(.*)/[^/]*$" or ""
  end
  list[#list + 1] = base
  return list
end

-- The smallest of f(folder) over those folders, or nil.
local function least(folders, f)
  local best
  for _, folder in ipairs(folders) do
    local value = f(folder)
    if value and (not best or value < best) then best = value end
  end
  return best
end

-- Processors' worth of time that the group may use, nil if it is not limited.
local function cpu_quota(root)
  return least(group_folders(root, "cpu"), function(folder)
    local quota, period = contents(folder .. "/cpu.max"):match "^(%d+)%s+(%d+)"
    if not quota then
      quota, period = contents(folder .. "/cpu.cfs_quota_us"):match "^%d+", contents(folder .. "/cpu.cfs_period_us")
    end
    quota, period = tonumber(quota), tonumber(period)
    return quota and period and period > 0 and quota / period or nil
  end)
end

local function memory_limit(root)
  return least(group_folders(root, "memory"), function(folder)
    return tonumber(contents(folder .. "/memory.max")) or tonumber(contents(folder .. "/memory.limit_in_bytes"))
  end)
end

-- ---- all of it ----

local function kilobytes(text, name)
  local amount = tonumber(text:match(name .. ":%s*(%d+) kB"))
  return amount and amount * 1024
end

--- The facts: model, features, caches, processors (of the whole machine), quota, load, memory and memory_available in
--- bytes, memory_limit where it is less. `root` stands in for / in tests.
function m.facts(root)
  root = root or ""
  local cpuinfo, meminfo = contents(root .. "/proc/cpuinfo"), contents(root .. "/proc/meminfo")
  local _, processors = ("\n" .. cpuinfo):gsub("\nprocessor%s*:", "")
  local memory, limit = kilobytes(meminfo, "MemTotal"), memory_limit(root)
  return {
    model = cpuinfo:match "model name%s*:%s*([^\n]*)", features = features(cpuinfo), caches = caches(root),
    processors = processors > 0 and processors or nil, quota = cpu_quota(root),
    load = tonumber(contents(root .. "/proc/loadavg"):match "^%S+"),
    memory = memory, memory_available = kilobytes(meminfo, "MemAvailable"),
    memory_limit = limit and memory and limit < memory and limit or nil,
  }
end

return m
