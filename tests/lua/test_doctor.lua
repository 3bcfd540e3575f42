-- mnistlua doctor: its check of MNIST's files, and the hints for machines that the tests do not run on.
local advice = require "mnistlua.cli.doctor_advice"
local check = require "mnistlua.data.check"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local data_files = require "mnistlua.data.files"
local files_aid = require "files_aid"
local lu = require "luaunit"

-- ---- the data ----

TestDoctorData = {}

local names = {
  "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
}

local two_images = "\0\0\8\3" .. ("\0\0\0\2"):rep(3) .. "abcdefgh"
local two_labels = "\0\0\8\1\0\0\0\2\0\1"

function TestDoctorData:setUp()
  self.dir = os.tmpname()
  os.remove(self.dir)
  assert(core.make_dirs(self.dir .. "/mnist"))
  context.data_dir = self.dir
end

function TestDoctorData:tearDown()
  context.data_dir = nil
  os.execute(("rm -rf '%s'"):format(self.dir))
end

function TestDoctorData:write(i, text)
  assert(core.write_file(("%s/mnist/%s"):format(self.dir, names[i]), text))
end

local function states(set)
  local list = {}
  for i, file in ipairs(set.files) do list[i] = file.state end
  return table.concat(list, " ")
end

function TestDoctorData:testNothing()
  local set = check.check "mnist"
  lu.assertEquals(set.folder, self.dir .. "/mnist")
  lu.assertEquals({ set.state, set.missing, #set.files }, { "missing", 4, 4 })
  lu.assertStrContains(set.files[1].path, "train-images-idx3-ubyte.gz")
end

function TestDoctorData:testSomeFiles()
  self:write(1, two_images)
  local set = check.check "mnist"
  lu.assertEquals(states(set), "read missing missing missing")
  lu.assertEquals({ set.state, set.missing, set.files[1].bytes }, { "missing", 3, #two_images })
end

function TestDoctorData:testDamagedAndOther()
  for i = 1, 3, 2 do self:write(i, two_images); self:write(i + 1, two_labels) end
  lu.assertEquals(states(check.check "mnist"), "other other other other")
  self:write(1, two_images:sub(1, -2))
  local set = check.check "mnist"
  lu.assertEquals(states(set), "damaged read other other")
  lu.assertEquals(set.state, "damaged")
  lu.assertStrContains(set.files[1].problem, names[1])
  self:write(1, two_images)
  self:write(2, "\0\0\8\1\0\0\0\3\0\1\2")
  set = check.check "mnist"
  lu.assertEquals(states(set), "damaged read other other")
  lu.assertStrContains(set.files[1].problem, names[2])
end

-- Where no hash is known, the number and size of the pictures decide.
function TestDoctorData:testSetsWithoutAHash()
  lu.assertEquals(check.check("kmnist").missing, 4)
  local counts, n = data_files.set("kmnist").counts, { train = 3, t10k = 2 }
  for _, part in ipairs { "train", "t10k" } do
    local path = ("%s/kmnist/%s-"):format(self.dir, part)
    files_aid.write(path .. "images-idx3-ubyte", files_aid.idx({ n[part], 28, 28 }, "\7"))
    files_aid.write(path .. "labels-idx1-ubyte", files_aid.idx({ n[part] }, "\7"))
  end
  lu.assertEquals(states(check.check "kmnist"), "other other other other")
  data_files.set("kmnist").counts = n
  local set = check.check "kmnist"
  data_files.set("kmnist").counts = counts
  lu.assertEquals({ set.state, set.by_content }, { "good", false })
end

-- ---- the hints ----

TestDoctorAdvice = {}

-- A machine without a fault, with these differences.
local function facts(changes)
  local f = {
    isa = "amx", best_isa = "amx", amx = true, amx_status = "usable", features = { "avx512f", "amx_bf16" },
    threads = 2, allowed_processors = 2, processors = 2, build = { options = { "optimised" } },
    peaks = {
      { kind = "f32", threads = 1, best = 100e9, median = 99e9 },
      { kind = "f32", threads = 2, best = 195e9, median = 190e9 },
      { kind = "read", threads = 2, best = 9e9, median = 1e9 },
    },
    data = { { name = "mnist", folder = "data/mnist", state = "good", missing = 0, files = { {}, {}, {}, {} } } },
  }
  for key, value in pairs(changes or {}) do f[key] = value end
  return f
end

local function set(state, files)
  local missing = 0
  for _, file in ipairs(files) do missing = missing + (file.state == "missing" and 1 or 0) end
  return { { name = "mnist", folder = "/d/mnist", state = state, missing = missing, files = files } }
end

local function peaks(one, all, median)
  return {
    { kind = "f32", threads = 1, best = one, median = one }, { kind = "f32", threads = 2, best = all, median = median },
  }
end

function TestDoctorAdvice:testNothingToSay()
  lu.assertEquals(advice.hints(facts()), {})
end

function TestDoctorAdvice:testEachHint()
  local missing, good = { path = "/d/mnist/a.gz", state = "missing" }, { path = "/d/mnist/b.gz", state = "good" }
  local damaged = { path = "/d/mnist/c", state = "damaged", problem = "/d/mnist/c: it is cut short" }
  local other = { path = "/d/mnist/e.gz", state = "other" }
  local cases = {
    { { data = set("missing", { missing, missing }) }, "MNIST is not in /d/mnist: .*fetch.* fetches it" },
    { { data = set("missing", { missing, good }) }, "/d/mnist lacks a.gz: .*fetch.* fetches what is missing" },
    { { data = set("damaged", { damaged, good }) }, "it is cut short. Mend it with rm /d/mnist/c && .*fetch" },
    { { data = set("other", { other, good }) }, "e.gz in /d/mnist can be read, but are not MNIST as published" },
    { { isa = "avx2", amx = false }, "MNISTLUA_ISA keeps the program to avx2; this CPU runs amx" },
    { { isa = "avx512", best_isa = "avx512", amx = false, amx_status = "the system refused permission: no" },
      "this CPU has AMX, but it cannot be used %(the system refused permission: no%)" },
    { { threads = 4 }, "4 threads share 2 processors: .*use %-%-threads 2" },
    { { quota = 1.5 }, "the time of 1.5 processors; 2 threads .*use %-%-threads 1" },
    { { peaks = peaks(100e9, 195e9, 90e9) }, "below 46%% of its best" },
    { { peaks = peaks(100e9, 110e9, 109e9) }, "2 threads reach only 1.1 times the peak of one.*%-%-threads 1" },
    { { build = { options = { "optimised", "address sanitizer" } } }, "built for testing %(address sanitizer%)" },
  }
  for _, case in ipairs(cases) do
    local hints = advice.hints(facts(case[1]))
    lu.assertEquals(#hints, 1, case[2])
    lu.assertStrMatches(hints[1], ".*" .. case[2] .. ".*")
  end
  lu.assertEquals(advice.hints(facts { quota = 2 }), {})
  local none = { name = "kmnist", folder = "/d/kmnist", state = "missing", missing = 1, files = { missing } }
  lu.assertEquals(advice.hints(facts { data = { none } }), {})       -- only MNIST is missed
  local bad = { name = "kmnist", folder = "/d/kmnist", state = "damaged", missing = 0, files = { damaged } }
  lu.assertStrContains(advice.hints(facts { data = { bad } })[1], "data/fetch kmnist")
  lu.assertEquals(advice.hints(facts { features = {}, amx = false, isa = "avx2", best_isa = "avx2" }), {})
end

function TestDoctorAdvice:testPathsAreQuoted()
  context.data_dir = "/d/it's here"
  local hints = advice.hints(facts { data = set("missing", { { path = "x", state = "missing" } }) })
  context.data_dir = nil
  lu.assertStrContains(hints[1], [[--to '/d/it'\''s here']])
end
