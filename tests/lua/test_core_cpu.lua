-- mnistlua.core: threads, instruction sets, the precision of matrix products, peaks, the build.
local core = require "mnistlua.core"
local aid = require "core_aid"
local lu = require "luaunit"

local raises = aid.assert_raises

TestCoreCpu = {}

function TestCoreCpu:testMachine()
  lu.assertTrue(core.processors() >= 1)
  local sets = { portable = 1, avx2 = 2, avx512 = 3, amx = 4 }
  lu.assertNotNil(sets[core.isa()])
  lu.assertTrue(sets[core.isa()] <= sets[core.best_isa()])
  local usable, status = core.amx()
  lu.assertIsBoolean(usable)
  lu.assertIsString(status)
  local build = core.build()
  lu.assertStrMatches(build.lua, "Lua 5%.4.*")
  lu.assertIsString(build.compiler)
  lu.assertTrue(#build.options >= 1)
end

function TestCoreCpu:testThreads()
  local threads = core.threads()
  lu.assertEquals(core.threads(3), 3)
  lu.assertEquals(core.threads(threads), threads)
  for _, bad in ipairs { 0, -1, 1e9, 1.5, "2", {} } do
    raises("expected a whole number from 1 to 256", function() core.threads(bad) end)
  end
end

function TestCoreCpu:testPrecision()
  local before = core.precision()
  lu.assertEquals(core.precision "bf16", before)
  lu.assertEquals(core.precision(), "bf16")
  lu.assertEquals(core.precision "bf16x3", "bf16")
  raises("unknown precision 'bf61'; did you mean 'bf16'?", function() core.precision "bf61" end)
  raises("unknown precision 'auto'", function() core.precision "auto" end)
  raises("precision: expected a string, got 16", function() core.precision(16) end)
  lu.assertEquals(core.precision(before), "bf16x3")
end

function TestCoreCpu:testPeaks()
  for _, options in ipairs { { kind = "f32" }, { kind = "read", bytes = 1 << 24 }, { kind = "f32", threads = 200 } } do
    options.seconds = 0.01
    local best, median = core.peak(options)
    lu.assertTrue(best > 0 and median <= best)
  end
  local usable, status = core.amx()
  local best, why = core.peak { kind = "amx", threads = 1, seconds = 0.01 }
  if usable then lu.assertTrue(best > 0) else lu.assertEquals({ best, why }, { nil, "AMX: " .. status }) end
end

function TestCoreCpu:testPeakMisuse()
  local cases = {
    { {}, "kind: expected a string, got nil" },
    { { kind = "f23" }, "unknown kind 'f23'; did you mean 'f32'?" },
    { { kind = "f32", thread = 1 }, "unknown option 'thread'; did you mean 'threads'?" },
    { { kind = "f32", threads = 0 }, "threads: expected a whole number from 1 to 256, got 0" },
    { { kind = "f32", seconds = 0 }, "seconds: expected a number above 0 and at most 60, got 0" },
    { { kind = "f32", seconds = 1 / 0 }, "seconds: expected a finite number, got inf" },
    { { kind = "read", bytes = 10 }, "bytes: expected a whole number of at least 16777216, got 10" },
    { "f32", "expected a table, got" },
  }
  for _, case in ipairs(cases) do raises(case[2], function() core.peak(case[1]) end) end
  local read = { kind = "read", seconds = 0.01 }
  core.fail_allocations(1)
  local ok, message = pcall(core.peak, read)
  core.fail_allocations(0)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "memory")
  for _, name in ipairs { "processors", "isa", "best_isa", "amx", "build", "peak", "precision" } do
    aid.torment(core[name])
  end
  core.precision "f32"
end
