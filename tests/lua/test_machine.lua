-- What /proc and /sys say, read from made-up trees: processors, caches, memory, control groups of both versions.
local core = require "mnistlua.core"
local lu = require "luaunit"
local machine = require "mnistlua.machine"

TestMachine = {}

function TestMachine:setUp()
  self.root = os.tmpname()
  os.remove(self.root)
  self.made = {}
end

function TestMachine:tearDown()
  os.execute(("rm -rf '%s'"):format(self.root))
end

function TestMachine:write(path, text)
  local full = self.root .. path
  assert(core.make_dirs(full:match "^(.*)/"))
  assert(core.write_file(full, text))
end

function TestMachine:testNothingThere()
  lu.assertEquals(machine.facts(self.root), { features = {}, caches = {} })
end

function TestMachine:testProcessorAndMemory()
  self:write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"
    .. "flags\t\t: fpu avx2 fma amx_bf16 rdpid\n\n"
    .. "processor\t: 1\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2\n")
  self:write("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    600 kB\n")
  self:write("/proc/loadavg", "1.25 0.50 0.10 1/100 4242\n")
  for i, cache in ipairs { { 1, "Data", "48K" }, { 1, "Instruction", "32K" }, { 2, "Unified", "2048K" },
      { 3, "Unified", "260M" } } do
    local folder = ("/sys/devices/system/cpu/cpu0/cache/index%d/"):format(i - 1)
    self:write(folder .. "level", cache[1] .. "\n")
    self:write(folder .. "type", cache[2] .. "\n")
    self:write(folder .. "size", cache[3] .. "\n")
  end
  lu.assertEquals(machine.facts(self.root), {
    model = "Some CPU @ 2 GHz", processors = 2, features = { "avx2", "fma", "amx_bf16" }, load = 1.25,
    memory = 1024000, memory_available = 614400,
    caches = { L1 = 48 << 10, L2 = 2 << 20, L3 = 260 << 20 },
  })
end

function TestMachine:testQuotaOfControlGroups()
  self:write("/proc/self/cgroup", "0::/a/b\n")
  self:write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
  lu.assertNil(machine.facts(self.root).quota)
  self:write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n")       -- a parent's limit holds, too
  lu.assertEquals(machine.facts(self.root).quota, 1.5)
  self:write("/sys/fs/cgroup/cpu.max", "50000 100000\n")          -- the root that a container sees
  lu.assertEquals(machine.facts(self.root).quota, 0.5)
end

function TestMachine:testQuotaOfTheFirstVersion()
  self:write("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,cpuacct:/x\n3:memory:/y\n0::/\n")
  self:write("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n")
  self:write("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")
  lu.assertNil(machine.facts(self.root).quota)
  self:write("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "250000\n")
  lu.assertEquals(machine.facts(self.root).quota, 2.5)
  self:write("/proc/meminfo", "MemTotal: 1000 kB\n")
  self:write("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "9223372036854771712\n")
  lu.assertNil(machine.facts(self.root).memory_limit)
  self:write("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "512000\n")
  lu.assertEquals(machine.facts(self.root).memory_limit, 512000)
end

function TestMachine:testThisMachine()
  local facts = machine.facts()
  lu.assertEquals(type(facts.features), "table")
  if facts.processors then lu.assertTrue(facts.processors >= core.processors()) end
end
