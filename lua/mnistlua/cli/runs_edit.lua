-- mnistlua runs tag, note and rm: what changes runs that are there.
local core = require "mnistlua.core"
local edit = require "mnistlua.store.edit"
local failure = require "mnistlua.failure"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local store = require "mnistlua.store"

local m = {}

local function find(db, text)
  local record, problem = store.find(db, text)
  if not record then error(failure.new("usage", problem), 0) end
  return record
end

local function done(ok, problem)
  if not ok then error(failure.new("runtime", problem), 0) end
end

local function with(args, f)
  store.with(args.out, { write = true }, f)
  return outcome.exit.done
end

local function check_tag(tag)
  if not tag:find "^[%w_.-]+$" then
    options.usage(("a tag is made of letters, digits and _ . -, got '%s'"):format(core.escape(tag)))
  end
end

function m.tag(args, words)
  if #words < 2 then options.usage "expected mnistlua runs tag RUN TAG ..." end
  for i = 2, #words do check_tag(words[i]) end
  return with(args, function(db)
    done(edit.tag(db, find(db, words[1]), table.move(words, 2, #words, 1, {}), args.remove))
  end)
end

function m.note(args, words)
  if #words ~= 2 then options.usage "expected mnistlua runs note RUN 'TEXT'" end
  return with(args, function(db) done(edit.note(db, find(db, words[1]), words[2])) end)
end

-- ---- rm ----

local function agreed(args, records)
  if args.force then return true end
  if not core.isatty(0) then options.usage "runs rm asks on a terminal only; --force deletes without" end
  for _, r in ipairs(records) do io.stderr:write(core.escape(r.dir), "\n") end
  io.stderr:write(("delete %s? (y/n) "):format(#records == 1 and "this run" or ("these %d runs"):format(#records)))
  return (io.read "l" or ""):lower():find "^%s*y" ~= nil
end

function m.rm(args, words)
  if #words == 0 then options.usage "expected mnistlua runs rm RUN ..." end
  return with(args, function(db)
    local records, seen = {}, {}
    for _, word in ipairs(words) do
      local record = find(db, word)
      if not seen[record.dir] then records[#records + 1], seen[record.dir] = record, true end
    end
    if not agreed(args, records) then return end
    for _, record in ipairs(records) do
      done(edit.remove(db, record))
      io.stderr:write("deleted ", core.escape(record.dir), "\n")
    end
  end)
end

return m
