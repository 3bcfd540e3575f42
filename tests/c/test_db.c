/* Databases: values in and out, faults and their kinds, and files that are something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/db.h"

static char folder[64], path[128];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/a b#%%?.db", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
  for (int i = 0; i < 4; i++) {
    char name[160];
    snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    remove(name);
  }
  return rmdir(folder);
}

static ml_db *open_db(ml_db_mode mode) {
  ml_db *db = NULL;
  ml_error err = {0};
  if (ml_db_open(&db, path, mode, 0, &err) != ML_OK) fail_msg("%s", err.message);
  return db;
}

static void check_exec(ml_db *db, const char *sql) {
  ml_error err = {0};
  if (ml_db_exec(db, sql, &err) != ML_OK) fail_msg("%s", err.message);
}

static ml_query *new_query(ml_db *db, const char *sql) {
  ml_query *q = NULL;
  ml_error err = {0};
  if (ml_query_new(&q, db, sql, &err) != ML_OK) fail_msg("%s", err.message);
  return q;
}

static bool step(ml_query *q) {
  bool row;
  ml_error err = {0};
  if (ml_query_step(q, &row, &err) != ML_OK) fail_msg("%s", err.message);
  return row;
}

static void make_table(void) {
  ml_db *db = open_db(ML_DB_CREATE);
  check_exec(db, "CREATE TABLE t (x); INSERT INTO t VALUES (7)");
  ml_db_close(db);
}

static void test_values(void **state) {
  (void)state;
  static const ml_db_value values[] = {
      {.kind = ML_DB_NULL},
      {.kind = ML_DB_INTEGER, .integer = INT64_MIN},
      {.kind = ML_DB_REAL, .real = 2.3849999999999998},
      {.kind = ML_DB_REAL, .real = -INFINITY},
      {.kind = ML_DB_TEXT, .text = "a\0b'", .size = 4},
      {.kind = ML_DB_TEXT, .text = "", .size = 0},
  };
  ml_db *db = open_db(ML_DB_CREATE);
  check_exec(db, "CREATE TABLE t (x)");
  ml_query *put = new_query(db, "INSERT INTO t VALUES (?)"), *get = new_query(db,
    "SELECT x AS value FROM t ORDER BY rowid");
  assert_int_equal(ml_query_parameters(put), 1);
  assert_int_equal(ml_query_columns(get), 1);
  assert_string_equal(ml_query_column_name(get, 0), "value");
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    assert_int_equal(ml_query_bind(put, 0, &values[i], NULL), ML_OK);
    assert_false(step(put));
    assert_int_equal(ml_db_changes(db), 1);
    ml_query_reset(put);
  }
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    assert_true(step(get));
    ml_db_value got = ml_query_column(get, 0), want = values[i];
    assert_int_equal(got.kind, want.kind);
    assert_int_equal(got.integer, want.integer);
    assert_true(got.real == want.real);
    assert_int_equal(got.size, want.size);
    if (want.size > 0) assert_memory_equal(got.text, want.text, want.size);
  }
  assert_false(step(get));
  ml_query_free(put);
  ml_query_free(get);
  ml_db_close(db);
}

static void test_nan_is_null(void **state) {
  (void)state;
  ml_db *db = open_db(ML_DB_CREATE);
  ml_query *q = new_query(db, "SELECT ?");
  assert_int_equal(ml_query_bind(q, 0, &(ml_db_value){.kind = ML_DB_REAL, .real = NAN}, NULL), ML_OK);
  assert_true(step(q));
  assert_int_equal(ml_query_column(q, 0).kind, ML_DB_NULL);
  ml_query_free(q);
  ml_db_close(db);
}

static void test_queries_outlive_their_owner(void **state) {
  (void)state;
  make_table();
  ml_db *db = open_db(ML_DB_READ);
  ml_query *q = new_query(db, "SELECT x FROM t");
  ml_db_close(db);
  assert_true(step(q));
  assert_int_equal(ml_query_column(q, 0).integer, 7);
  ml_query_free(q);
  ml_query_free(NULL);
  ml_db_close(NULL);
}

static void test_mistakes(void **state) {
  (void)state;
  static const struct {
    const char *sql, *message;
  } cases[] = {
      {"SELEC 1", "syntax error"}, {"SELECT y FROM t", "no such column"}, {"", "expected one statement"},
      {"SELECT 1; SELECT 2", "expected one statement"},
  };
  make_table();
  ml_db *db = open_db(ML_DB_WRITE);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_query *q = NULL;
    ml_error err = {0};
    assert_int_equal(ml_query_new(&q, db, cases[i].sql, &err), ML_MISUSE);
    assert_null(q);
    assert_non_null(strstr(err.message, cases[i].message));
    assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
  }
  ml_query *q = new_query(db, "SELECT 1");
  assert_int_equal(ml_query_bind(q, 0, &(ml_db_value){.kind = ML_DB_NULL}, NULL), ML_MISUSE);
  ml_query_free(q);
  ml_db_close(db);
}

/* Expects that a statement fails with this kind of fault. */
static void expect_fault(ml_db *db, const char *sql, ml_status status, const char *kind) {
  ml_error err = {0};
  assert_int_equal(ml_db_exec(db, sql, &err), status);
  assert_string_equal(ml_db_fault(db), kind);
  assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
}

static void test_faults(void **state) {
  (void)state;
  ml_db *db = NULL;
  ml_error err = {0};
  assert_int_equal(ml_db_open(&db, path, ML_DB_WRITE, 0, &err), ML_IO);   /* it is not there */
  assert_non_null(strstr(err.message, "unable to open"));
  make_table();
  static const ml_db_mode readers[] = {ML_DB_READ, ML_DB_IMMUTABLE};
  for (int i = 0; i < 2; i++) {
    db = open_db(readers[i]);
    check_exec(db, "SELECT * FROM t");
    expect_fault(db, "INSERT INTO t VALUES (1)", ML_IO, "read-only");
    ml_db_close(db);
  }
  db = open_db(ML_DB_WRITE);
  ml_db *other = open_db(ML_DB_WRITE);
  check_exec(other, "BEGIN IMMEDIATE");
  expect_fault(db, "INSERT INTO t VALUES (1)", ML_IO, "busy");
  check_exec(other, "COMMIT");
  check_exec(db, "PRAGMA max_page_count = 2");
  expect_fault(db, "INSERT INTO t VALUES (randomblob(100000))", ML_IO, "full");
  ml_db_close(other);
  ml_db_close(db);
}

static void write_over(long at, const char *text) {
  FILE *f = fopen(path, "r+b");
  assert_non_null(f);
  assert_int_equal(fseek(f, at, SEEK_SET), 0);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

static void test_damage(void **state) {
  (void)state;
  make_table();
  write_over(4096, "garbage in the first byte of a table's page");
  ml_db *db = open_db(ML_DB_CREATE);
  expect_fault(db, "SELECT * FROM t", ML_FORMAT, "damaged");
  ml_db_close(db);
  write_over(0, "not a database at all");
  db = open_db(ML_DB_CREATE);
  expect_fault(db, "SELECT * FROM t", ML_FORMAT, "damaged");
  ml_db_close(db);
}

int main(void) {
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
  const struct CMUnitTest tests[] = {
      IN_A_FOLDER(test_values),   IN_A_FOLDER(test_nan_is_null), IN_A_FOLDER(test_queries_outlive_their_owner),
      IN_A_FOLDER(test_mistakes), IN_A_FOLDER(test_faults),      IN_A_FOLDER(test_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
