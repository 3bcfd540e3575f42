/* Option tables, and guessing what a misspelt name was meant to be. Unknown keys are always refused. */
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

#define LONGEST 32   /* only names shorter than this are compared */

static int least(int a, int b) { return a < b ? a : b; }

/* Levenshtein's distance, an exchange of neighbours counting as one. */
static int distance(const char *a, const char *b) {
  int row[3][LONGEST + 1];
  int n = (int)strlen(b);
  for (int j = 0; j <= n; j++) row[0][j] = j;
  int *before = row[2], *last = row[0], *now = row[1];
  for (int i = 1; a[i - 1]; i++) {
    now[0] = i;
    for (int j = 1; j <= n; j++) {
      now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = least(now[j], before[j - 2] + 1);
    }
    int *free_row = before;
    before = last, last = now, now = free_row;
  }
  return last[n];
}

typedef struct guess {
  char name[LONGEST];
  int distance;
} guess;

/* Keeps the nearest name; at a tie the alphabetically first, since a table's order is left to chance. */
static void consider(guess *best, const char *wanted, const char *name) {
  if (strlen(wanted) >= LONGEST || strlen(name) >= LONGEST) return;
  int d = distance(wanted, name);
  if (d > (int)(strlen(wanted) + 2) / 3 || d > best->distance) return;
  if (d == best->distance && strcmp(name, best->name) >= 0) return;
  best->distance = d;
  snprintf(best->name, sizeof best->name, "%s", name);
}

static const char *push_guess(lua_State *L, const guess *best) {
  if (best->distance == LONGEST) return lua_pushliteral(L, "");
  return lua_pushfstring(L, "; did you mean '%s'?", best->name);
}

const char *l_suggest(lua_State *L, const char *wanted, const char *const *names) {
  guess best = { .distance = LONGEST };
  for (; *names; names++) consider(&best, wanted, *names);
  return push_guess(L, &best);
}

const char *l_suggest_key(lua_State *L, const char *wanted, int keys_at) {
  guess best = { .distance = LONGEST };
  keys_at = lua_absindex(L, keys_at);
  for (lua_pushnil(L); lua_next(L, keys_at); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) consider(&best, wanted, lua_tostring(L, -2));
  }
  return push_guess(L, &best);
}

static bool is_among(const char *name, const char *const *names) {
  for (; *names; names++) {
    if (strcmp(name, *names) == 0) return true;
  }
  return false;
}

void l_options(lua_State *L, int index, const char *const *names) {
  if (lua_isnoneornil(L, index)) return;
  index = lua_absindex(L, index);
  if (!lua_istable(L, index)) l_bad(L, index, NULL, "a table of options");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) l_bad(L, -2, "an option's name", "a string");
    const char *name = lua_tostring(L, -2);
    if (!is_among(name, names)) l_raise(L, "unknown option '%.40s'%s", name, l_suggest(L, name, names));
  }
}

int l_option(lua_State *L, int index, const char *name) {
  if (lua_istable(L, index)) {
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    lua_rawget(L, index);
  } else {
    lua_pushnil(L);
  }
  return lua_gettop(L);
}
