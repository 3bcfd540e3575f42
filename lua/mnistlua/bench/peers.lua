-- The libraries that mnistlua is compared with. Each runs in Python processes of its own (tests/bench/peers.py), one
-- for every setting that may be its best here: one thread or all, and OpenBLAS told of AVX-512 where there is one,
-- which Debian's does not always find by itself. They are started together, told over a pipe what to run next, and wait
-- otherwise.
--
-- A request goes through the pipe of io.popen; the answer comes through a named pipe that is unlinked once both ends
-- hold it, so that nothing is left behind however this ends.
local core = require "mnistlua.core"
local machine = require "mnistlua.bench.machine"

local m = {}

--- The libraries by the name of the option, in the order of the table's columns.
m.names = { "numpy", "torch", "sklearn" }
m.titles = { numpy = "NumPy", torch = "PyTorch", sklearn = "scikit-learn" }

local script = core.root .. "/tests/bench/peers.py"

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- ---- which Python has what ----

local function pythons()
  local chosen = os.getenv "MNISTLUA_PYTHON"
  if chosen and chosen ~= "" then return { chosen } end
  return { "python3", "/usr/bin/python3" }
end

-- name -> the first Python that has the library.
local function find_libraries()
  local found = {}
  for _, python in ipairs(pythons()) do
    local pipe = io.popen(("%s %s installed 2>/dev/null"):format(quoted(python), quoted(script)))
    local line = pipe and pipe:read "l" or ""
    if pipe then pipe:close() end
    for name in line:gmatch "%a+" do found[name] = found[name] or python end
  end
  return found
end

-- ---- one process ----

local Process = {}
Process.__index = Process

-- The settings that may be a library's best here, as { threads, coretype or nil, label }. In haste, those that most
-- likely are.
local function settings(given)
  local list, wide = {}, machine.has "avx512f"
  for _, count in ipairs(given.threads > 1 and { 1, given.threads } or { 1 }) do
    local label = count == 1 and "1 thread" or count .. " threads"
    if not (wide and given.quick) then list[#list + 1] = { threads = count, label = label } end
    if wide then list[#list + 1] = { threads = count, coretype = "SKYLAKEX", label = label .. ", SKYLAKEX" } end
  end
  return list
end

-- The shell waits at the named pipe for its reader; then Python takes its place. Ctrl-C is not for it.
local function command(name, python, setting, fifo)
  local core_type = setting.coretype and "export OPENBLAS_CORETYPE=" .. setting.coretype or "unset OPENBLAS_CORETYPE"
  local n = setting.threads
  return ("trap '' INT; %s; export OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d MKL_NUM_THREADS=%d; "
    .. "exec %s %s %s %d >%s 2>/dev/null"):format(core_type, n, n, n, quoted(python), quoted(script), name, n,
    quoted(fifo))
end

-- A process, or nil where the system gives no pipe.
local function start(name, python, setting)
  local named, fifo = pcall(os.tmpname)
  if not named then return nil end
  os.remove(fifo)
  if not os.execute("mkfifo -m 600 " .. quoted(fifo)) then return nil end
  local to = io.popen(command(name, python, setting, fifo), "w")
  local from = to and io.open(fifo, "r")
  os.remove(fifo)
  if not from then return nil end
  to:setvbuf "line"
  return setmetatable({ label = setting.label, to = to, from = from }, Process)
end

-- The next line it says; nil and why, from then on, if it has ended.
function Process:read()
  local line = not self.ended and self.from:read "l"
  if line then return line end
  self:close()
  return nil, "it ended"
end

function Process:ask(request, seconds)
  if self.ended then return nil, "it ended" end
  self.to:write(table.concat(request, "\t"), "\t", ("%g"):format(seconds), "\n")
  local line, problem = self:read()
  if not line then return nil, problem end
  return tonumber(line), line:match "^failed (.*)"
end

function Process:close()
  if self.ended then return end
  self.ended = true
  self.to:close()
  self.from:close()
end

-- ---- all of them ----

local Peers = {}
Peers.__index = Peers

local function say_once(notes, text)
  for _, known in ipairs(notes) do
    if known == text then return end
  end
  notes[#notes + 1] = text
end

local slow_blas = " has only the reference BLAS here, which is many times slower than OpenBLAS (Debian: "
  .. "libopenblas0): beside it the ratios are too high"

-- Keeps the processes that come up, and the library if any does.
local function greet(library, notes)
  local ready = {}
  for _, process in ipairs(library.processes) do
    local line, problem = process:read()
    local version = line and line:match "^ready ([^,]*)"
    library.version = version or library.version
    if version then
      if line:find("reference BLAS", 1, true) then say_once(notes, library.title .. slow_blas) end
      ready[#ready + 1] = process
    else
      process:close()
      say_once(notes, ("%s could not be started: %s"):format(library.title, line or problem))
    end
  end
  if #library.processes == 0 then say_once(notes, library.title .. " could not be started: no pipe") end
  library.processes = ready
  return #ready > 0
end

--- Starts the libraries in `names` that are installed. given: threads (the most they use), quick, and notes, a list of
--- lines that tells what is missing.
function m.start(names, given)
  local notes = given.notes
  local found = (#names > 0 and core.exists(script)) and find_libraries() or {}
  local self = setmetatable({ notes = notes, list = {} }, Peers)
  for _, name in ipairs(names) do
    local library = { name = name, title = m.titles[name], processes = {} }
    for _, setting in ipairs(found[name] and settings(given) or {}) do
      library.processes[#library.processes + 1] = start(name, found[name], setting)
    end
    if found[name] then self.list[#self.list + 1] = library
    else notes[#notes + 1] = m.titles[name] .. " is not installed, so nothing is compared with it" end
  end
  local ready = {}
  for _, library in ipairs(self.list) do
    if greet(library, notes) then ready[#ready + 1] = library end
  end
  self.list = ready
  return self
end

--- Lets a process do a request for about `seconds`; returns images or runs a second, nil where it does not do that.
--- What went wrong is noted.
function Peers:ask(library, process, request, seconds)
  local rate, problem = process:ask(request, seconds)
  if problem then
    say_once(self.notes, ("%s (%s) failed at %s: %s"):format(library.title, process.label, request[1], problem))
  end
  return rate
end

--- Ends the processes.
function Peers:close()
  for _, library in ipairs(self.list) do
    for _, process in ipairs(library.processes) do process:close() end
  end
end

return m
