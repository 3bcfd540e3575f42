-- A file that a callback appends to while a run goes on: tried for writing before the first step, begun anew by a new
-- run, and cut back to where the checkpoint was by one that goes on, so that it then holds what an uninterrupted run
-- writes. The callback's memory has its length (`bytes`). What cannot be written later is said once, and the run goes
-- on.
local core = require "mnistlua.core"

local m = {}

local LogFile = {}
LogFile.__index = LogFile

--- A file for a callback. given: header() gives the text that it begins with; whole(text) the length of the entries in
--- `text` that are complete.
function m.new(callback, path, given)
  return setmetatable({
    callback = callback, path = path, header = given.header, whole = given.whole, handle = false, failed = false,
    flushed = core.clock(),
  }, LogFile)
end

--- Raises if it cannot be written; makes the folders that it is to be in.
function LogFile:check()
  local folder = self.path:match "^(.*)/"
  if folder and folder ~= "" then
    local made, problem = core.make_dirs(folder)
    if not made then self.callback:fail("%s", core.escape(problem)) end
  end
  local handle, problem = io.open(self.path, "ab")
  if not handle then self.callback:fail("cannot be written: %s", core.escape(problem)) end
  handle:close()
end

local function give_up(self, run, problem)
  if self.failed then return end
  self.failed = true
  run:print(("mnistlua: warning: %s: %s cannot be written: %s; the run goes on without it"):format(self.callback.what,
    core.escape(self.path), core.escape(tostring(problem))))
  if self.handle then self.handle:close() end
  self.handle = false
end

-- Leaves the first n bytes, or where there are fewer the entries that are whole. Returns how many these are.
local function cut(path, n, whole)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  local text, longer = file:read(n) or "", file:read(1)
  file:close()
  local length = #text < n and whole(text) or n
  if longer or length < #text then
    local ok, why = core.write_file(path, text:sub(1, length))
    if not ok then return nil, why end
  end
  return length
end

local function open(self)
  local bytes = self.callback.memory.bytes or 0
  if bytes > 0 then
    local left, problem = cut(self.path, bytes, self.whole)
    if not left then return nil, problem end
    bytes = left
  end
  local handle, problem = io.open(self.path, bytes > 0 and "ab" or "wb")
  if not handle then return nil, problem end
  self.handle = handle
  self.callback.memory.bytes = bytes
  if bytes == 0 then return self:put(self.header()) end
  return true
end

-- Counts what is written even where it is not: the same run has the same memory on a full disk.
function LogFile:put(text)
  local memory = self.callback.memory
  memory.bytes = (memory.bytes or 0) + #text
  if not self.handle then return true end
  return self.handle:write(text)
end

--- Appends an entry.
function LogFile:append(run, text)
  local ok, problem = true, nil
  if not self.handle and not self.failed then ok, problem = open(self) end
  if not ok then give_up(self, run, problem) end
  ok, problem = self:put(text)
  if not ok then give_up(self, run, problem) end
end

--- Hands what was appended to the system.
function LogFile:flush(run)
  self.flushed = core.clock()
  if not self.handle then return end
  local ok, problem = self.handle:flush()
  if not ok then give_up(self, run, problem) end
end

--- Closes it, at the run's end.
function LogFile:close(run)
  self:flush(run)
  if self.handle then self.handle:close() end
  self.handle = false
end

return m
