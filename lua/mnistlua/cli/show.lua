-- mnistlua show: looks at things in the terminal. Of a data set its pictures; of a run its curves, which may grow, the
-- filters of its first layer, its confusion matrix. It reads only.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local files = require "mnistlua.data.files"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"

local m = {
  about = "pictures of a data set; curves, filters and confusion of a run",
  usage = "DATASET|RUN [options]",
}

local modes = { "auto", "half", "braille", "ascii", "sixel", "kitty" }

-- "4x8" as { rows, columns }.
local function grid(text)
  local rows, columns = text:match "^(%d%d?%d?)x(%d%d?%d?)$"
  rows, columns = tonumber(rows), tonumber(columns)
  if rows and rows > 0 and columns > 0 and rows * columns <= 10000 then return { rows, columns } end
  return nil, ("--grid: expected ROWSxCOLUMNS such as 4x8, got '%s'"):format(core.escape(text))
end

local function one_of(name, list)
  return function(text)
    for _, known in ipairs(list) do
      if known == text then return text end
    end
    return nil, ("%s: expected %s, got '%s'%s"):format(name, table.concat(list, ", "), core.escape(text),
      options.hint(text, list))
  end
end

function m.options(parser)
  parser:argument("what", "a data set, a folder of pictures, a CSV file; or a run, or a file of weights"):args "?"
  arguments.option(parser, "--index", "show this sample (from 1), or begin with it")
    :convert(arguments.whole("--index", 1, 1 << 40)):argname "N"
  arguments.option(parser, "--label", "only samples of this class: its number or its name")
  arguments.option(parser, "--grid", "that many pictures, e.g. 4x8: 4 rows of 8"):convert(grid):argname "RxC"
  arguments.option(parser, "--split", "of a data set: train (default), val (the last 10,000 of training), test")
    :convert(one_of("--split", { "train", "val", "test" })):argname "PART"
  parser:option("--metric", "of a run: draw this metric's curve"):argname("NAME"):count "*"
  parser:flag("--follow", "of a run: go on drawing while it trains")
  parser:flag("--filters", "of a run or weights: the first layer's weights as pictures")
  parser:flag("--confusion", "of a run or weights: the confusion matrix, on its test data")
  arguments.option(parser, "--mode", "how pictures are drawn: auto, half (blocks), braille, ascii, sixel, kitty")
    :convert(one_of("--mode", modes)):default "auto":argname "MODE"
  arguments.option(parser, "--width", "columns of text to use (default: the terminal's)")
    :convert(arguments.whole("--width", 1, 10000)):argname "N"
  arguments.add(parser, "threads", "data_dir", "out")
end

-- ---- which kind of thing ----

local function names()
  local list = { "digits" }
  for _, set in ipairs(files.sets) do list[#list + 1] = set.name end
  return list
end

-- Whether it is a data set: its name, a CSV file, a folder that is neither a run nor a folder of one.
local function is_data(text)
  for _, name in ipairs(names()) do
    if name == text then return true end
  end
  if text:find "%.csv$" or text:find "%.csv%.gz$" then return core.exists(text) end
  return core.is_dir(text) and not core.exists(text .. "/run.json") and not core.exists(text .. "/config.lua")
    and not core.exists(text .. "/result.json")
end

-- Options that only the one or the other kind has.
local of_data, of_runs = { "index", "label", "split" }, { "metric", "follow", "filters", "confusion" }

local function refuse(args, list, kind)
  for _, name in ipairs(list) do
    local value = args[name]
    if value and (type(value) ~= "table" or #value > 0) then
      options.usage(("--%s is for %s, and '%s' is none"):format(name, kind, core.escape(args.what)))
    end
  end
end

local function is_run_view(args)
  return args.follow or args.filters or args.confusion or #(args.metric or {}) > 0
end

-- What was typed as a name, and is neither a data set nor a run.
local function check_name(text)
  local near = files.near(text, names())
  if near ~= "" and not text:find "[/.]" then
    options.usage(("'%s' is neither a data set nor a run%s"):format(core.escape(text), near))
  end
end

-- ---- the command ----

function m.run(args)
  if args.mode == "auto" then args.mode = "best" end
  if not args.what then
    if not is_run_view(args) then
      options.usage(("show: expected a data set (%s) or a run; mnistlua runs lists the runs"):format(
        table.concat(names(), ", ")))
    end
    args.what = "last"
  end
  if is_data(args.what) then
    refuse(args, of_runs, "runs")
    require("mnistlua.cli.show_data").show(args)
    return outcome.exit.done
  end
  refuse(args, of_data, "data sets")
  if args.follow and (args.filters or args.confusion) then
    options.usage "--follow draws curves; give it without --filters and --confusion"
  end
  if args.filters or args.confusion then
    require("mnistlua.cli.show_model").show(args)
  else
    require("mnistlua.cli.show_run").show(args, check_name)
  end
  return outcome.exit.done
end

return m
