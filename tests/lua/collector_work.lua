-- The tests of tensors and gradients under collectors that hardly ever rest: mnistlua tests/lua/collector_work.lua
-- prints how many tests ran, or ends with the message of the first that failed. It is a program of its own, run by
-- test_core_misuse.lua, because such a collector walks the whole heap at every turn: all other suites' tables too.
local folder = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
package.path = folder .. "/?.lua;" .. package.path
local core = require "mnistlua.core"

for _, name in ipairs { "test_core_tensor", "test_core_print", "test_core_grad" } do require(name) end
local classes = { "TestCoreTensorMake", "TestCoreTensorAccess", "TestCoreTensorMethods", "TestCoreTensorPrinting",
  "TestCoreGrad", "TestCoreOptim" }

local function work()
  local count = 0
  for _, class in ipairs(classes) do
    for name, test in pairs(_G[class]) do
      if name:find "^test" and name ~= "testMemoryIsFlatOverSteps" then -- which needs a collector that rests
        test(_G[class])
        count = count + 1
      end
      core.step_end()
    end
  end
  return count
end

collectgarbage "generational"
local count = work()
collectgarbage "incremental"
collectgarbage("setpause", 0)
collectgarbage("setstepmul", 1000)
count = count + work()
print(count .. " tests")
