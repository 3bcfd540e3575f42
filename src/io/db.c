/* The calls of SQLite behind db.h. Called by src/bind only. It knows no table and no file name of the program, and
 * every failure is told as ml_error with what SQLite says about it. */
#include "io/db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct ml_db {
  sqlite3 *handle;
  int users;       /* its owner and its queries */
  int code;        /* of the last call that failed */
  char path[];     /* for messages */
};

struct ml_query {
  sqlite3_stmt *statement;
  ml_db *db;
  int users;
};

/* ---- what went wrong ---- */

const char *ml_db_fault(const ml_db *db) {
  switch (db->code & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return "busy";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return "damaged";
  case SQLITE_READONLY:
  case SQLITE_PERM: return "read-only";
  case SQLITE_FULL: return "full";
  default: return "other";
  }
}

static ml_status status_of(int code) {
  switch (code & 0xff) {
  case SQLITE_NOMEM: return ML_NOMEM;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return ML_FORMAT;
  case SQLITE_ERROR:
  case SQLITE_MISUSE:
  case SQLITE_RANGE: return ML_MISUSE;
  default: return ML_IO;
  }
}

static ml_status failed(ml_db *db, int code, ml_error *err) {
  db->code = code;
  bool known = db->handle != NULL && (sqlite3_errcode(db->handle) & 0xff) == (code & 0xff);
  const char *message = known ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
  return ml_fail(err, status_of(code), "%s: %s", db->path, message);
}

/* ---- the database ---- */

/* "file:<path>?immutable=1", with what a URI gives a meaning written as %XX. From sqlite3_malloc. */
static char *immutable_uri(const char *path) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendall(text, "file:");
  for (; *path != 0; path++) {
    if (strchr("%?#", *path) != NULL) sqlite3_str_appendf(text, "%%%02x", (unsigned char)*path);
    else sqlite3_str_appendchar(text, 1, *path);
  }
  sqlite3_str_appendall(text, "?immutable=1");
  return sqlite3_str_finish(text);
}

static int open_handle(ml_db *db, ml_db_mode mode) {
  static const int flags[] = {
      [ML_DB_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
      [ML_DB_WRITE] = SQLITE_OPEN_READWRITE,
      [ML_DB_READ] = SQLITE_OPEN_READONLY,
      [ML_DB_IMMUTABLE] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
  };
  if (mode != ML_DB_IMMUTABLE) return sqlite3_open_v2(db->path, &db->handle, flags[mode], NULL);
  char *uri = immutable_uri(db->path);
  if (uri == NULL) return SQLITE_NOMEM;
  int code = sqlite3_open_v2(uri, &db->handle, flags[mode], NULL);
  sqlite3_free(uri);
  return code;
}

ml_status ml_db_open(ml_db **out, const char *path, ml_db_mode mode, int busy_ms, ml_error *err) {
  size_t size = strlen(path) + 1;
  ml_db *db = ml_alloc(sizeof *db + size);
  if (db == NULL) return ml_fail(err, ML_NOMEM, "%s: not enough memory for %zu bytes", path, sizeof *db + size);
  *db = (ml_db){.users = 1};
  memcpy(db->path, path, size);
  int code = open_handle(db, mode);
  if (code != SQLITE_OK) {
    ml_status status = failed(db, code, err);
    ml_db_close(db);
    return status;
  }
  sqlite3_busy_timeout(db->handle, busy_ms);
  *out = db;
  return ML_OK;
}

void ml_db_close(ml_db *db) {
  if (db == NULL || --db->users > 0) return;
  sqlite3_close(db->handle);
  ml_free(db);
}

ml_status ml_db_exec(ml_db *db, const char *sql, ml_error *err) {
  int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? ML_OK : failed(db, code, err);
}

int64_t ml_db_changes(const ml_db *db) { return sqlite3_changes64(db->handle); }

/* ---- statements ---- */

ml_status ml_query_new(ml_query **out, ml_db *db, const char *sql, ml_error *err) {
  ml_query *query = ml_alloc(sizeof *query);
  if (query == NULL) return ml_fail(err, ML_NOMEM, "%s: not enough memory for a query", db->path);
  *query = (ml_query){.db = db, .users = 1};
  db->users++;
  const char *rest = "";
  int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->statement, &rest);
  ml_status status = ML_OK;
  if (code != SQLITE_OK) status = failed(db, code, err);
  else if (query->statement == NULL || rest[strspn(rest, " \n;")] != 0)
    status = ml_fail(err, ML_MISUSE, "%s: expected one statement, got '%s'", db->path, sql);
  if (status != ML_OK) ml_query_free(query);
  else *out = query;
  return status;
}

ml_query *ml_query_ref(ml_query *query) {
  query->users++;
  return query;
}

void ml_query_free(ml_query *query) {
  if (query == NULL || --query->users > 0) return;
  sqlite3_finalize(query->statement);
  ml_db_close(query->db);
  ml_free(query);
}

int ml_query_parameters(const ml_query *query) { return sqlite3_bind_parameter_count(query->statement); }

int ml_query_columns(const ml_query *query) { return sqlite3_column_count(query->statement); }

const char *ml_query_column_name(const ml_query *query, int column) {
  const char *name = sqlite3_column_name(query->statement, column);
  return name == NULL ? "" : name;
}

static int bind(sqlite3_stmt *statement, int at, const ml_db_value *value) {
  switch (value->kind) {
  case ML_DB_INTEGER: return sqlite3_bind_int64(statement, at, value->integer);
  case ML_DB_REAL: return sqlite3_bind_double(statement, at, value->real);
  case ML_DB_TEXT: return sqlite3_bind_text64(statement, at, value->text, value->size, SQLITE_STATIC, SQLITE_UTF8);
  default: return sqlite3_bind_null(statement, at);
  }
}

ml_status ml_query_bind(ml_query *query, int parameter, const ml_db_value *value, ml_error *err) {
  int code = bind(query->statement, parameter + 1, value);
  return code == SQLITE_OK ? ML_OK : failed(query->db, code, err);
}

ml_status ml_query_step(ml_query *query, bool *row, ml_error *err) {
  int code = sqlite3_step(query->statement);
  *row = code == SQLITE_ROW;
  return *row || code == SQLITE_DONE ? ML_OK : failed(query->db, code, err);
}

ml_db_value ml_query_column(const ml_query *query, int column) {
  sqlite3_stmt *statement = query->statement;
  switch (sqlite3_column_type(statement, column)) {
  case SQLITE_NULL: return (ml_db_value){.kind = ML_DB_NULL};
  case SQLITE_INTEGER:
    return (ml_db_value){.kind = ML_DB_INTEGER, .integer = sqlite3_column_int64(statement, column)};
  case SQLITE_FLOAT: return (ml_db_value){.kind = ML_DB_REAL, .real = sqlite3_column_double(statement, column)};
  default: break;
  }
  const char *text = (const char *)sqlite3_column_text(statement, column);   /* NULL if memory is short */
  size_t size = (size_t)sqlite3_column_bytes(statement, column);
  return (ml_db_value){.kind = ML_DB_TEXT, .text = text == NULL ? "" : text, .size = text == NULL ? 0 : size};
}

void ml_query_reset(ml_query *query) {
  sqlite3_reset(query->statement);
  sqlite3_clear_bindings(query->statement);
}
