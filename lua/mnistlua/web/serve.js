// The page of `mnistlua serve`: which view the address asks for. "#/" is the list of runs, "#/run/FOLDER" one of them,
// "#/compare/FOLDER/FOLDER" several.
"use strict";

(() => {
  const views = { "": list_view, run: run_views.show_run, compare: run_views.show_comparison };
  let end = () => {};

  function names_of(hash) {
    try {
      return hash.replace(/^#?\/?/, "").split("/").map(decodeURIComponent);
    } catch {
      return [""];
    }
  }

  function show() {
    const [view, ...names] = names_of(location.hash);
    end();
    parts.fault(null);
    document.title = "mnistlua";
    scrollTo(0, 0);
    const known = Object.hasOwn(views, view) && (view === "" || names.length > 0) ? view : "";
    end = views[known](document.getElementById("view"), ...names);
  }
  addEventListener("hashchange", show);
  show();
})();
