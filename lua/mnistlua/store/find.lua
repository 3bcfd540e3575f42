-- A run by what the user typed for it: last, its number in the list, its folder's name or a part of that, or the path
-- of a folder. Called by every command that takes a RUN.
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local index = require "mnistlua.store.index"
local options = require "mnistlua.options"

local m = {}

local by_time = "SELECT * FROM runs WHERE status <> 'gone' ORDER BY started DESC, id DESC LIMIT 1"

-- GLOB's own characters in a text, as they are.
local function literal(text) return (text:gsub("[%*%?%[]", "[%0]")) end

local function by_path(db, text)
  local path = text:gsub("(.)/+$", "%1")
  local out, name = path:match "^(.*)/([^/]+)$"
  if not out then out, name = ".", path end
  if not core.is_dir(path) or not folder.is_run(out, name) then return nil end
  local row = out == db.out and db:row("SELECT * FROM runs WHERE folder = ?", name)
  return row and index.record(db, row) or folder.read(out, name)
end

local function ambiguous(text, rows)
  local names = {}
  for i = 1, math.min(#rows, 3) do names[i] = rows[i].folder end
  return ("'%s' stands for %d runs: %s%s; write more of the name, or a number from 'mnistlua runs'"):format(
    core.escape(text), #rows, core.escape(table.concat(names, ", ")), #rows > 3 and ", ..." or "")
end

local function nobody(db, text)
  local names, seen = {}, {}
  local recent = "SELECT folder, name FROM runs WHERE status <> 'gone' ORDER BY started DESC LIMIT 2000"
  for _, row in ipairs(db:rows(recent)) do
    for _, name in ipairs { row.folder, row.name } do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  if #names == 0 then return ("there is no run '%s': %s has no runs"):format(core.escape(text), core.escape(db.out)) end
  names[#names + 1] = "last"
  local hint = options.hint(text, names)
  return ("there is no run '%s' in %s%s"):format(core.escape(text), core.escape(db.out),
    hint ~= "" and core.escape(hint) or "; mnistlua runs lists them")
end

--- The record of the run that `text` stands for; or nil and a message, with a "did you mean".
function m.run(db, text)
  local row
  if text == "last" then
    row = db:row(by_time)
  else
    row = db:row("SELECT * FROM runs WHERE folder = ?", text)
    if not row and text:find "^%d+$" and #text < 10 then
      row = db:row("SELECT * FROM runs WHERE id = ?", math.tointeger(tonumber(text)))
    end
    if not row and (text:find("/", 1, true) or core.is_dir(text)) then
      local record = by_path(db, text)
      if record then return record end
    end
    if not row and text ~= "" then
      local part = literal(text)
      local rows = db:rows("SELECT * FROM runs WHERE status <> 'gone' AND (folder GLOB ? OR folder GLOB ?)"
        .. " ORDER BY started DESC, id DESC", part .. "*", "*" .. part)
      if #rows > 1 then return nil, ambiguous(text, rows) end
      row = rows[1]
    end
  end
  if row then return index.record(db, row) end
  return nil, nobody(db, text)
end

return m
