/* The prompt's line editor as userdata. */
#include "base/editor.h"

#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"

#define L_EDITOR "mnistlua.Editor"

typedef struct editor_box {
  ml_editor *editor;   /* NULL once closed */
  lua_State *L;        /* while a line is read: who reads it */
} editor_box;

static editor_box *box_of(lua_State *L) {
  editor_box *box = luaL_testudata(L, 1, L_EDITOR);
  if (!box || !box->editor) l_bad(L, 1, NULL, "an open Editor");
  return box;
}

/* Tab: complete(line, cursor) -> the text to put in or nil, whether something was written. Its errors complete nothing.
 * The function is the userdata's value; while a line is read the userdata is at 1. */
static char *complete(void *ctx, const char *line, size_t cursor, int *listed) {
  editor_box *box = ctx;
  lua_State *L = box->L;
  const int top = lua_gettop(L);
  char *text = NULL;
  lua_getiuservalue(L, 1, 1);
  lua_pushstring(L, line);
  lua_pushinteger(L, (lua_Integer)cursor);
  if (lua_pcall(L, 2, 2, 0) == LUA_OK) {
    const char *found = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    *listed = lua_toboolean(L, -1);
    if (found && (text = ml_alloc(strlen(found) + 1))) strcpy(text, found);
  }
  lua_settop(L, top);
  return text;
}

/* editor(complete) -> Editor; or nil, message */
static int l_editor(lua_State *L) {
  ml_error err;
  lua_settop(L, 1);
  if (!lua_isfunction(L, 1)) return l_bad(L, 1, NULL, "a function");
  editor_box *box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = (editor_box){0};
  luaL_setmetatable(L, L_EDITOR);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (ml_editor_open(&box->editor, complete, box, &err) != ML_OK) return l_fail(L, &err);
  return 1;
}

/* read(prompt) -> line; or nil, "end", "interrupt" or "stop" */
static int editor_read(lua_State *L) {
  lua_settop(L, 2);
  editor_box *box = box_of(L);
  const char *line, *prompt = l_text(L, 2, "prompt");
  box->L = L;
  const ml_editor_event event = ml_editor_read(box->editor, prompt, &line);
  box->L = NULL;
  lua_pushstring(L, line);   /* nil for NULL */
  if (event == ML_EDITOR_LINE) return 1;
  lua_pushstring(L, event == ML_EDITOR_END ? "end" : event == ML_EDITOR_INTERRUPT ? "interrupt" : "stop");
  return 2;
}

static int editor_add(lua_State *L) {
  ml_editor_add(box_of(L)->editor, l_text(L, 2, NULL));
  return 0;
}

static int done(lua_State *L, ml_status status, const ml_error *err) {
  if (status != ML_OK) return l_fail(L, err);
  lua_pushboolean(L, true);
  return 1;
}

/* load(path), save(path) -> true; or nil, message */
static int editor_load(lua_State *L) {
  ml_error err;
  return done(L, ml_editor_load(box_of(L)->editor, l_text(L, 2, NULL), &err), &err);
}

static int editor_save(lua_State *L) {
  ml_error err;
  return done(L, ml_editor_save(box_of(L)->editor, l_text(L, 2, NULL), &err), &err);
}

static int editor_close(lua_State *L) {
  editor_box *box = luaL_testudata(L, 1, L_EDITOR);
  if (!box) return l_bad(L, 1, NULL, "an Editor");
  ml_editor_close(box->editor);
  box->editor = NULL;
  return 0;
}

void l_open_editor(lua_State *L) {
  const luaL_Reg functions[] = { { "editor", l_editor }, { NULL, NULL } };
  const luaL_Reg methods[] = { { "read", editor_read }, { "add", editor_add }, { "load", editor_load },
                               { "save", editor_save }, { "close", editor_close }, { NULL, NULL } };
  const luaL_Reg meta[] = { { "__gc", editor_close }, { "__close", editor_close }, { NULL, NULL } };
  l_new_type(L, L_EDITOR, "Editor", meta, methods);
  l_add(L, L_CORE, functions);
}
