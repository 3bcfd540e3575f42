-- For test_export_exe.sh and tests/bench/exports.sh: samples of a data set as PNG files 1.png, 2.png, ... in a folder.
local folder = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
package.path = folder .. "/../lua/?.lua;" .. package.path
local aid = require "files_aid"
local core = require "mnistlua.core"
local ml = require "mnistlua"

local p = ml.params { data = { "digits", "digits or mnist" }, n = { 10, "pictures" }, to = { ".", "the folder" } }

local set = p.data == "mnist" and ml.data.mnist {}.test or ml.data.digits { n = p.n, seed = 9 }.train
for i = 1, p.n do
  local pixels = string.char(table.unpack(set[i].image:reshape(-1):totable()))
  assert(core.write_file(("%s/%d.png"):format(p.to, i), aid.png(28, 28, pixels)))
end
