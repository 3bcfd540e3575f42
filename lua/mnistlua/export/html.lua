-- A model as one HTML file: a draw pad in which the network itself answers, and its first layer. Called by `mnistlua
-- export --html`; the report of a run has the same pad among other things.
local network = require "mnistlua.web.network"
local progress = require "mnistlua.train.progress"
local sections = require "mnistlua.report.sections"
local web = require "mnistlua.web"

local m = {}

--- The page of a model for the classes and pictures of `data` (a bundle) as text, or nil and why there can be none.
--- trained_on says what the data was, where the bundle is only a description of it.
function m.page(name, model, data, trained_on)
  local spec, problem = network.of_data(model, data)
  if not spec then return nil, problem end
  local r = { network = spec }
  local about = ("%s parameters, trained on %s."):format(progress.thousands(model:num_parameters()),
    trained_on or tostring(data))
  return web.page {
    title = name, body = web.tag("main", nil, web.tag("header", nil, web.tag("h1", nil, web.escape(name)),
      web.tag("p", { class = "muted" }, web.escape(about))), sections.pad(r), sections.filters(r)),
    data = { network = spec }, styles = { "page.css", "parts.css", "report.css" },
    scripts = { "network.js", "strokes.js", "pictures.js", "pad.js", "curves.js", "report.js" },
  }
end

return m
