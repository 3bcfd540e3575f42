-- The files of the page, from ../web: a fixed list, read once. What a request names is looked up in the list and never
-- in the file system.
local answer = require "mnistlua.serve.answer"
local web = require "mnistlua.web"

local m = {}

local types = {
  html = "text/html; charset=utf-8", css = "text/css; charset=utf-8", js = "text/javascript; charset=utf-8",
}

local names = {
  "serve.html", "page.css", "parts.css", "serve.css", "curves.js", "pictures.js", "strokes.js", "pad.js",
  "serve_parts.js", "serve_follow.js", "serve_pad.js", "serve_list.js", "serve_run.js", "serve.js",
}

--- The answers by their names; "" is the page.
function m.read()
  local files = {}
  for _, name in ipairs(names) do
    files[name] = answer.bytes(types[name:match "[^.]+$"], web.file(name))
  end
  files[""] = files["serve.html"]
  return files
end

return m
