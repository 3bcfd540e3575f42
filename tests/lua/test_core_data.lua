-- mnistlua.core: readers, Dataset, Loader and safetensors files.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local raises = aid.assert_raises

local function in_folder(f)
  local path = os.tmpname()
  os.remove(path)
  assert(core.make_dirs(path))
  local ok, message = pcall(f, path)
  for _, name in ipairs(core.list_dir(path)) do os.remove(path .. "/" .. name) end
  os.remove(path)
  if not ok then error(message, 0) end
end

local function small()
  return core.dataset(core.arange(10):reshape(5, 2), core.tensor({ 0, 1, 2, 1, 0 }, "i32"))
end

-- ---- Dataset ----

TestCoreDataset = {}

function TestCoreDataset:testSamplesAndViews()
  local d = small()
  lu.assertEquals(#d, 5)
  lu.assertEquals(d:classes(), 3)
  local x, y = d:get(2)
  lu.assertEquals(x:totable(), { 2, 3 })
  lu.assertEquals(y, 1)
  x:fill_(0)
  lu.assertEquals((d:get(2)):totable(), { 2, 3 })
  lu.assertEquals((d:subset { 5, 1 }:get(1)):totable(), { 8, 9 })
  lu.assertEquals((d:range(2, 4):get(3)):totable(), { 6, 7 })
  lu.assertEquals(#d:range(1, 0), 0)
  lu.assertEquals(#d:subset {}, 0)
  lu.assertEquals(d:sample_shape(), { 2 })
  lu.assertEquals(d:label_counts(), { 2, 2, 1 })
  lu.assertEquals(d:shuffled(1):hash(), d:shuffled(1):hash())
  lu.assertEquals(d:shuffled(1):label_counts(), { 2, 2, 1 })
  lu.assertStrMatches(d:hash(), "%x+")
  lu.assertEquals(#d:hash(), 16)
  local mean, std = d:moments()
  lu.assertAlmostEquals(mean, 4.5, 1e-9)
  lu.assertAlmostEquals(std, math.sqrt(8.25), 1e-9)
end

function TestCoreDataset:testMisuse()
  local d = small()
  raises("expected a whole number from 1 to 5, got 6", function() d:get(6) end)
  raises("sample number: expected a whole number from 1 to 5, got 0", function() d:subset { 1, 0 } end)
  raises("range: 2 to 6 is out of range", function() d:range(2, 6) end)
  raises("expected a table, got 3", function() d:subset(3) end)
  raises("expected a whole number from 0 to 4294967295", function() d:shuffled(-1) end)
  raises("expected a Dataset, got a Tensor", function() d.get(core.zeros(2), 1) end)
  raises("expected a Tensor, got 3", function() core.dataset(3, core.zeros(2)) end)
  raises("expected a whole number of at least 1, got 0", function() core.make_digits(0, 1) end)
  for _, bad in ipairs { 1 << 31, 2.0 ^ 31, 2.0 ^ 80 } do
    raises("expected a whole number from 1 to 2147483647, got ", function() core.make_digits(bad, 1) end)
  end
  getmetatable(d).__gc(d)
  getmetatable(d).__gc(d)
  raises("this Dataset has been released", function() return #d end)
  for _, f in pairs(getmetatable(small()).__index) do
    aid.torment(f)
    aid.torment(f, small())
  end
  for _, name in ipairs { "dataset", "make_digits", "read_idx", "read_csv" } do aid.torment(core[name]) end
end

function TestCoreDataset:testFaultsOfFilesComeBack()
  local d, message = core.dataset(core.zeros(3, 2), core.tensor({ 0, 1 }, "i32"))
  lu.assertNil(d)
  lu.assertStrContains(message, "3 images but 2 labels")
  for _, read in ipairs { core.read_idx, core.read_csv, core.safetensors_read } do
    local value, why = read "/nonexistent/file"
    lu.assertNil(value)
    lu.assertStrContains(why, "/nonexistent/file")
    raises("expected a string without zero bytes", function() read "a\0b" end)
    raises("expected a string, got nil", function() read(nil) end)
  end
end

function TestCoreDataset:testSeveralIdxFilesAtOnce()
  in_folder(function(folder)
    local paths = {}
    for i = 1, 8 do
      paths[i] = folder .. "/" .. i
      assert(core.write_file(paths[i], ("\0\0\8\1\0\0\0%c"):format(i) .. ("x"):rep(i)))
    end
    local tensors = { core.read_idx(table.unpack(paths)) }
    lu.assertEquals(#tensors, 8)
    for i = 1, 8 do lu.assertEquals(tensors[i]:numel(), i) end
    raises("expected 1 to 8 paths, got 9", function() core.read_idx("a", table.unpack(paths)) end)
    raises("expected a string, got 3", function() core.read_idx(paths[1], 3) end)
    assert(core.write_file(paths[3], ""))
    os.remove(paths[2])
    local value, why = core.read_idx(table.unpack(paths))
    lu.assertNil(value)
    lu.assertStrContains(why, paths[2] .. ": cannot be opened")
  end)
end

function TestCoreDataset:testCsv()
  in_folder(function(folder)
    local path = folder .. "/a.csv"
    assert(core.write_file(path, "label,p1,p2\n1,10,20\n0,30,255\n"))
    for _, header in ipairs { "auto", "yes", true } do
      local d, info = core.read_csv(path, 1, header)
      lu.assertEquals({ #d, info.header, info.rows, info.columns }, { 2, true, 2, 3 })
      local x, y = d:get(1)
      lu.assertEquals(x:totable(), { 10, 20 })
      lu.assertEquals(y, 1)
    end
    local d, message = core.read_csv(path, 1, false)
    lu.assertNil(d)
    lu.assertStrContains(message, path)
    raises("expected a whole number of at least 1", function() core.read_csv(path, 0) end)
    raises(": the label should be column 9, but there are columns 1 to ", function() core.read_csv(path, 9) end)
    raises("expected true, false or \"auto\"", function() core.read_csv(path, 1, "maybe") end)
  end)
end

-- ---- Loader ----

TestCoreLoader = {}

function TestCoreLoader:tearDown() core.step_end() end

local function labels_of(loader, epoch, step)
  local list = {}
  loader:start(epoch, step)
  for _, y in loader.next, loader do
    for _, label in ipairs(y) do list[#list + 1] = label end
  end
  return list
end

function TestCoreLoader:testBatches()
  local d = core.make_digits(20, 1)
  local l = core.loader(d, { batch = 8, mean = 0.5, std = 0.25 })
  lu.assertEquals(l:steps(), 3)
  lu.assertEquals(#labels_of(l, 1), 20)
  lu.assertEquals(#labels_of(l, 1, 3), 4)
  lu.assertEquals(#labels_of(l, 1, 4), 0)
  l:start(1, 1)
  local x, y = l:next()
  lu.assertEquals(x.shape, { 8, 28, 28 })
  lu.assertEquals(y.dtype, "i32")
  local image = (d:get(1)):to "f32"
  lu.assertEquals(x[1][14][14], ((image / 255 - 0.5) / 0.25)[14][14])
  lu.assertEquals(core.loader(d, { batch = 8, drop_last = true }):steps(), 2)
end

function TestCoreLoader:testOrderDependsOnSeedAndEpoch()
  local d = core.make_digits(50, 1)
  local options = { batch = 7, shuffle = true, seed = 5 }
  local a, b = core.loader(d, options), core.loader(d, options)
  local first = labels_of(a, 1)
  lu.assertEquals(labels_of(b, 1), first)
  lu.assertNotEquals(labels_of(a, 2), first)
  lu.assertEquals(labels_of(a, 1), first)
end

function TestCoreLoader:testBatchesThatAreKeptStayAsTheyWere()
  local d = core.make_digits(20, 1)
  local l, kept, sums = core.loader(d, { batch = 4 }), {}, {}
  l:start(1)
  for x in l.next, l do
    kept[#kept + 1] = x
    sums[#sums + 1] = x:sum():item()
  end
  for i, x in ipairs(kept) do lu.assertEquals(x:sum():item(), sums[i]) end
end

function TestCoreLoader:testBatchesExpireWithTheirStep()
  local l = core.loader(core.make_digits(20, 1), { batch = 4 })
  l:start(1, 1)
  core.step_begin(1, 1)
  local x, y = l:next()
  local row = x[1]
  lu.assertEquals(#y, 4)
  core.step_begin(1, 2)
  raises("has expired", function() return x:sum() end)
  raises("has expired", function() return row:sum() end)
  raises("has expired", function() return y[1] end)
end

function TestCoreLoader:testMisuse()
  local d = small()
  local l = core.loader(d, { batch = 2 })
  raises("start comes first", function() l:next() end)
  raises("start: step 5 of an epoch of 3", function() l:start(1, 5) end)
  raises("expected a whole number of at least 1, got 0", function() l:start(0) end)
  raises("batch: expected a whole number of at least 1, got nil", function() core.loader(d, {}) end)
  raises("unknown option 'bacth'; did you mean 'batch'?", function() core.loader(d, { bacth = 2 }) end)
  raises("std", function() core.loader(d, { batch = 2, std = 0 }) end)
  raises("shuffle: expected true or false, got 1", function() core.loader(d, { batch = 2, shuffle = 1 }) end)
  raises("expected a Dataset", function() core.loader({}, { batch = 2 }) end)
  raises("expected a table", function() core.loader(d) end)
  l:start(1)
  getmetatable(l).__gc(l)
  getmetatable(l).__gc(l)
  raises("this Loader has been released", function() l:next() end)
  for _, f in pairs(getmetatable(l).__index) do
    aid.torment(f)
    aid.torment(f, core.loader(d, { batch = 2 }))
  end
  aid.torment(core.loader, d)
end

-- ---- safetensors ----

TestCoreSafetensors = {}

function TestCoreSafetensors:testRoundTrip()
  in_folder(function(folder)
    local path = folder .. "/a.safetensors"
    local i32, u8 = core.tensor({ 3, -1 }, "i32"), core.tensor({ 9 }, "u8")
    local list = { { "w", core.randn(3, 2) }, { "labels", i32 }, { "x", u8 } }
    lu.assertTrue(core.safetensors_write(path, list, { epoch = "3", config = "text" }))
    local read, metadata = core.safetensors_read(path)
    lu.assertEquals(metadata, { epoch = "3", config = "text" })
    local found = {}
    for _, entry in ipairs(read) do found[entry[1]] = entry[2] end
    for _, entry in ipairs(list) do
      lu.assertEquals(found[entry[1]]:totable(), entry[2]:totable())
      lu.assertEquals(found[entry[1]].dtype, entry[2].dtype)
    end
    local bytes = core.read_file(path, 1 << 20)
    lu.assertTrue(core.safetensors_write(path, list, { config = "text", epoch = "3" }))
    lu.assertEquals(core.read_file(path, 1 << 20), bytes)
    lu.assertEquals(core.safetensors_encode(list, metadata), bytes)
    local decoded, texts = core.safetensors_decode(bytes)
    lu.assertEquals(texts, metadata)
    lu.assertEquals(decoded[1][2]:totable(), found[decoded[1][1]]:totable())
    lu.assertStrContains(select(2, core.safetensors_decode(bytes:sub(1, -2))), "beyond the file")
    lu.assertEquals(core.list_dir(folder), { "a.safetensors" })
    local ok, message = core.safetensors_write(folder .. "/none/a", list)
    lu.assertNil(ok)
    lu.assertStrContains(message, "/none/a")
  end)
end

function TestCoreSafetensors:testMisuse()
  local t = core.zeros(1)
  local write = function(list, metadata) return core.safetensors_write("/nonexistent/a", list, metadata) end
  raises("expected a table, got 3", function() core.safetensors_write("/nonexistent/a", 3) end)
  for text, list in pairs {
    ["an entry of the list: expected a table, got 3"] = { 3 },
    ["w: expected a Tensor, got 3"] = { { "w", 3 } },
    ["the name of a tensor: expected a string, got 3"] = { { 3, t } },
  } do
    raises(text, function() core.safetensors_write("/nonexistent/a", list) end)
  end
  lu.assertErrorMsgContains("k: expected a string, got 3", write, { { "w", t } }, { k = 3 })
  lu.assertErrorMsgContains("a key of the metadata: expected a string, got 1", write, { { "w", t } }, { "x" })
  lu.assertFalse((pcall(write, {})))
  lu.assertFalse((pcall(write, { { "w", t }, { "w", t } })))
  aid.torment(core.safetensors_write, "/nonexistent/a")
  aid.torment(core.safetensors_read)
  aid.torment(core.safetensors_decode)
  aid.torment(core.safetensors_encode)
  raises("argument #1 of 'safetensors_encode': expected a table, got 3", function() core.safetensors_encode(3) end)
end
