-- Runs every test_*.lua beside this file with LuaUnit, as TAP on stdout: mnistlua tests/lua/run.lua. The exit code is 1
-- if a test failed.
local folder = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
package.path = folder .. "/?.lua;" .. package.path

local core = require "mnistlua.core"
local lu = require "luaunit"

for _, name in ipairs(assert(core.list_dir(folder))) do
  if name:find "^test_.*%.lua$" then dofile(folder .. "/" .. name) end
end

local failures = lu.LuaUnit.run("-o", "tap")
io.stdout:flush()
if failures > 0 then os.exit(1, true) end
