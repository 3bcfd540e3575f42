-- mnistlua bench without its clock: statistics, the list of cases, results built from given measurements, their text,
-- and the comparison with a kept one.
local lu = require "luaunit"
local cases = require "mnistlua.bench.cases"
local compare = require "mnistlua.bench.compare"
local core = require "mnistlua.core"
local figures = require "mnistlua.bench.figures"
local json = require "mnistlua.json"
local network = require "mnistlua.bench.network"
local result = require "mnistlua.bench.result"
local rounds = require "mnistlua.bench.rounds"
local statistics = require "mnistlua.bench.statistics"
local table_of = require "mnistlua.bench.table"

TestBench = {}

local function everything(given)
  local all = { threads = 2, bf16 = "fast", mnist = { "a.gz", "b.gz", "c.gz", "d.gz" }, conv = true }
  for key, value in pairs(given or {}) do all[key] = value end
  return cases.list(all)
end

-- A result of these cases in which every rate is `rate` (of whole runs: 1/10000 of it) in three rounds, a little
-- scattered.
local function made(rate, given)
  local workloads = everything(given)
  for _, workload in ipairs(workloads) do
    workload.peers = { numpy = { ["1 thread"] = { 100, 110, 120 }, ["2 threads"] = { 200, 210, 220 } }, torch = {} }
    for _, variant in ipairs(workload.variants) do
      local r = workload.show == "ms" and rate / 1e4 or rate
      variant.rates, variant.peaks = { r, r * 1.01, r * 0.99 }, { 1e12, 1e12, 1e12 }
    end
  end
  return result.build(workloads, {
    machine = { cpu = "a processor", isa = "avx2", processors = 2, load = 0.5, version = "1" }, threads = 2, rounds = 3,
    seconds = 0.1, notes = { "one" }, peers = { { name = "numpy", title = "NumPy", version = "1.24" } },
  })
end

local function row_of(r, id)
  for _, row in ipairs(r.rows) do
    if row.id == id then return row end
  end
end

-- ---- statistics ----

function TestBench:testQuantiles()
  lu.assertEquals(statistics.median { 3, 1, 2 }, 2)
  lu.assertEquals(statistics.median { 4, 1, 2, 3 }, 2.5)
  lu.assertNil(statistics.median {})
  lu.assertAlmostEquals(statistics.quantile({ 1, 2, 3, 4, 5 }, 0.1), 1.4, 1e-12)
  lu.assertEquals(statistics.quantile({ 7 }, 0.9), 7)
  local list = { 3, 1, 2 }
  local s = statistics.summary(list)
  lu.assertEquals({ s.median, s.values }, { 2, { 3, 1, 2 } })
  lu.assertAlmostEquals(s.p10, 1.2, 1e-12)
  lu.assertAlmostEquals(s.p90, 2.8, 1e-12)
  lu.assertNil(statistics.summary {})
end

function TestBench:testRatiosEndWithTheShorterList()
  lu.assertEquals(statistics.ratios({ 4, 9, 5 }, { 2, 3 }), { 2, 3 })
end

function TestBench:testDifferOnlyBeyondTheNoise()
  local function differ(a, b) return statistics.differ(statistics.summary(a), statistics.summary(b)) end
  lu.assertTrue(differ({ 10, 11, 12 }, { 20, 21, 22 }))
  lu.assertFalse(differ({ 10, 11, 12 }, { 11, 11.5, 12 }))
  lu.assertFalse(differ({ 10, 15, 30 }, { 20, 21, 22 }))      -- one is all over the place
  lu.assertFalse(differ({ 10, 10 }, { 20, 20 }))              -- too few to know
end

-- ---- what is measured ----

function TestBench:testFlops()
  lu.assertEquals(network.forward_flops, 2 * (784 * 512 + 512 * 128 + 128 * 64 + 64 * 10))
  lu.assertEquals(network.training_flops, 3 * network.forward_flops - 2 * 784 * 512)
  lu.assertEquals(network.new():build { 28, 28 }:num_parameters(), 476490)
end

function TestBench:testCases()
  local seen, count = {}, 0
  for _, workload in ipairs(everything()) do
    for _, variant in ipairs(workload.variants) do
      lu.assertNil(seen[variant.id], variant.id)
      seen[variant.id], count = variant, count + 1
    end
  end
  for _, batch in ipairs { 64, 128, 256, 1024 } do
    for _, rest in ipairs { "f32-1", "f32-2", "bf16-1", "bf16-2" } do
      lu.assertNotNil(seen[("train-%d-%s"):format(batch, rest)])
    end
  end
  for _, id in ipairs { "inference-1-f32-1", "inference-1024-bf16-2", "conv-128-bf16-1", "evaluation-f32-2",
    "loading-f32-2", "notebook-f32-2", "notebook-bf16-2", "notebook-f64-f32-2", "train-128-adam-bf16-2",
    "train-128-momentum-f32-1", "cnn-lenet5-f32-2", "cnn-cnn-bf16-2" } do
    lu.assertNotNil(seen[id], id)
  end
  lu.assertNil(seen["notebook-f32-1"])
  lu.assertNil(seen["loading-bf16-2"])
  lu.assertEquals(seen["train-64-bf16-1"].peak, "amx")
end

function TestBench:testFewerCases()
  local function ids(given)
    local list = {}
    for _, workload in ipairs(everything(given)) do
      for _, variant in ipairs(workload.variants) do list[#list + 1] = variant.id end
    end
    return list
  end
  lu.assertEquals(ids { groups = { evaluation = true }, bf16 = "emulated" }, { "evaluation-f32-1", "evaluation-f32-2" })
  lu.assertEquals(ids { groups = { train = true }, quick = true, bf16 = "emulated", threads = 1 },
    { "train-128-f32-1", "train-128-bf16-1", "step-f32-1" })
  lu.assertEquals(ids { groups = { cnn = true }, quick = true, bf16 = "emulated", threads = 1 },
    { "cnn-lenet5-f32-1", "cnn-cnn-f32-1" })
  lu.assertNotStrContains(table.concat(ids { quick = true }, " "), "cnn")
  lu.assertEquals(#everything { groups = { loading = true, conv = true }, conv = false, mnist = false }, 0)
  lu.assertStrContains(table.concat(ids { groups = { notebook = true }, quick = true }, " "), "notebook-f64")
end

-- What is measured is what the configs train; a layer's FLOP are 2 a multiply-add forward, 6 in training.
function TestBench:testConvolutionalNetworks()
  local parameters = { lenet5 = 61706, cnn = 104938 }
  local flops = {
    lenet5 = 6 * (6 * 25 * 784 + 6 * 16 * 25 * 100 + 400 * 120 + 120 * 84 + 84 * 10) - 2 * 6 * 25 * 784,
    cnn = 6 * (32 * 25 * 784 + 64 * 32 * 9 * 196 + 128 * 64 * 9 * 49 + 1152 * 10) - 2 * 32 * 25 * 784,
  }
  for name, make in pairs(network.cnns) do
    lu.assertEquals(make():build({ 28, 28 }):num_parameters(), parameters[name], name)
    lu.assertEquals(network.cnn_training_flops[name], flops[name], name)
  end
end

-- ---- rounds ----

-- Rates of one library by setting, a list by round each; returns how often each was asked for in that many rounds.
local function asked(rates, count)
  local processes, times = {}, {}
  for _, label in ipairs { "a", "b" } do
    processes[#processes + 1] = { label = label }
    times[label] = 0
  end
  local function ask(_, _, process)
    times[process.label] = times[process.label] + 1
    return rates[process.label][times[process.label]]
  end
  local workload = { group = "x", label = "x", request = {}, variants = {} }
  local threads = core.threads()
  rounds.run({ workload }, { list = { { name = "numpy", processes = processes } }, ask = ask },
    { rounds = count, seconds = 1 }, function() end)
  core.threads(threads)
  return times, workload.peers.numpy
end

function TestBench:testSettingsThatStayBehindAreGivenUp()
  lu.assertEquals(asked({ a = { 100, 90, 95 }, b = { 30 } }, 3), { a = 3, b = 1 })
  lu.assertEquals(asked({ a = { 100, 90, 95 }, b = { 45, 45 } }, 3), { a = 3, b = 2 })
  lu.assertEquals(asked({ a = { 100, 90, 40 }, b = { 45, 80, 80 } }, 3), { a = 3, b = 3 })
  local times, kept = asked({ a = { 100, 90, 95 }, b = {} }, 3)       -- cannot do it
  lu.assertEquals({ times, kept }, { { a = 3, b = 1 }, { a = { 100, 90, 95 } } })
end

-- ---- results ----

function TestBench:testResult()
  local row = row_of(made(420), "train-128-f32-2")
  lu.assertEquals(row.rate.median, 420)
  lu.assertAlmostEquals(row.share.median, 420 * network.training_flops / 1e12, 1e-12)
  lu.assertEquals(row.peers.numpy.setting, "2 threads")
  lu.assertAlmostEquals(row.peers.numpy.ratio, 420 / 200, 0.1)
  lu.assertNil(row.peers.torch)
  lu.assertNil(row_of(made(420), "loading-f32-2").share)
  lu.assertEquals(made(420).peaks.amx["2"].median, 1e12)
end

function TestBench:testCutShort()
  local workloads = everything { groups = { train = true } }
  for _, workload in ipairs(workloads) do workload.peers = {} end
  local first = workloads[1].variants[1]
  first.rates, first.peaks = { 5 }, {}
  local r = result.build(workloads, { machine = {}, threads = 2, rounds = 0, seconds = 1, notes = {}, peers = {} })
  lu.assertEquals({ #r.rows, r.rows[1].id, r.rows[1].share, next(r.peaks) }, { 1, first.id })
end

function TestBench:testFigures()
  for text, value in pairs {
    ["38.3 k/s"] = figures.rate("images", 38283), ["1205 k/s"] = figures.rate("images", 1204900),
    ["4.50 us"] = figures.rate("us", 1e6 / 4.5), ["100 us"] = figures.rate("us", 1e4),
    ["188 ms"] = figures.rate("ms", 5.319),
    ["76%"] = figures.share(0.763), ["1.2%"] = figures.share(0.0123), ["2.3x"] = figures.ratio(2.34),
    ["12x"] = figures.ratio(12.3), ["0.87x"] = figures.ratio(0.87), ["1.0x"] = figures.ratio(0.9951),
    ["91 GFLOP/s"] = figures.flops(91e9), ["2.41 TFLOP/s"] = figures.flops(2.41e12),
  } do
    lu.assertEquals(value, text)
  end
  lu.assertEquals({ figures.share(nil), figures.ratio(nil), figures.change(nil) }, { "-", "-", "-" })
end

function TestBench:testTableFits()
  local r = made(123456.7, { bf16 = "emulated" })
  local now, past = made(123456.7), made(654321)
  for _, lines in ipairs { table_of.lines(r), table_of.lines(now), compare.lines(now, past, "kept.json") } do
    for _, line in ipairs(lines) do
      lu.assertTrue(utf8.len(line) <= 100, line)
      lu.assertNil(line:find "%s$", line)
    end
  end
  local text = table.concat(table_of.lines(r), "\n")
  for _, part in ipairs { "a processor", "f32 peak", "NumPy 1.24", "training", "bf16 (emulated)", "Note: one." } do
    lu.assertStrContains(text, part)
  end
end

-- ---- the comparison ----

local function verdicts(now, past)
  local list = {}
  for _, each in ipairs(compare.rows(now, past)) do list[each.row.id] = each.verdict end
  return list
end

function TestBench:testCompare()
  local now, past = made(200), made(100)
  lu.assertEquals(verdicts(now, past)["train-64-f32-1"], "faster")
  lu.assertEquals(verdicts(past, now)["train-64-f32-1"], "SLOWER")
  lu.assertEquals(verdicts(now, now)["train-64-f32-1"], "")
  lu.assertAlmostEquals(compare.rows(now, past)[1].speed, 2, 1e-12)
  local text = table.concat(compare.lines(now, past, "kept.json"), "\n")
  lu.assertStrContains(text, "2.00x")
  lu.assertStrContains(text, "faster")
end

function TestBench:testSlowerMachineIsNoChange()
  local now, past = made(100), made(200)
  for _, row in ipairs(past.rows) do
    if row.share then row.share = row_of(now, row.id).share end
  end
  lu.assertEquals(verdicts(now, past)["train-64-f32-1"], "")
  lu.assertEquals(verdicts(now, past)["loading-f32-2"], "SLOWER")
end

function TestBench:testCompareNamesWhatOneLacks()
  local now, past = made(100, { groups = { train = true } }), made(100, { groups = { evaluation = true } })
  past.machine.cpu = "another\27"
  local text = table.concat(compare.lines(now, past, "kept.json"), "\n")
  for line in text:gmatch "[^\n]+" do lu.assertTrue(#line <= 100, line) end
  lu.assertStrContains(text, "not in the kept result: train-64-f32-1")
  lu.assertStrContains(text, "only in the kept result: evaluation-f32-1")
  lu.assertStrContains(text, "another machine: another\\x1b")
end

function TestBench:testKeptResults()
  local path = os.tmpname()
  local function read(text)
    assert(core.write_file(path, text))
    return result.read(path)
  end
  local now = made(100)
  lu.assertEquals(#compare.rows(now, read(json.encode(now))), #now.rows)
  local broken = made(100)
  broken.rows[3].rate.median = "fast"
  for text, message in pairs {
    ["{"] = "line 1", ["[]"] = "expected a result of mnistlua bench", ["3"] = "expected a result",
    ['{"format":"mnistlua-bench","version":2}'] = "expected version 1 of the format, got 2",
    ['{"format":"mnistlua-bench","version":1}'] = "expected a list of rows",
    ['{"format":"mnistlua-bench","version":1,"rows":[3]}'] = "row 1: expected",
    [json.encode(broken)] = "row 3: expected",
  } do
    local value, problem = read(text)
    lu.assertNil(value)
    lu.assertStrContains(problem, path .. ": ")
    lu.assertStrContains(problem, message)
  end
  os.remove(path)
  lu.assertNil((result.read(path)))
end
