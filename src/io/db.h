/* SQLite, as far as the program needs it: a database file, statements prepared once and run with values, one row after
 * the other. What is stored is decided by callers, in SQL. A database belongs to one thread; several processes may have
 * the same file open. Every message begins with the path. */
#ifndef ML_IO_DB_H
#define ML_IO_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ml_db ml_db;
typedef struct ml_query ml_query;

typedef enum ml_db_mode {
  ML_DB_CREATE,     /* read and write; made if it is not there */
  ML_DB_WRITE,      /* read and write what is there */
  ML_DB_READ,       /* nothing in the database changes */
  ML_DB_IMMUTABLE   /* nor does anything beside it: for a folder that cannot be written; nobody else may write */
} ml_db_mode;

/* ML_IO if the file cannot be opened. What is in it is looked at by the first statement only. A statement that finds
 * the database locked by another process tries again for busy_ms. */
ml_status ml_db_open(ml_db **db, const char *path, ml_db_mode mode, int busy_ms, ml_error *err);

/* Gives it up; the file is closed when the last of its queries is freed, too. NULL is allowed. */
void ml_db_close(ml_db *db);

/* Why the last call that failed did: "busy", "damaged", "read-only", "full" or "other". */
const char *ml_db_fault(const ml_db *db);

/* Runs statements, separated by semicolons, that give no rows. */
ml_status ml_db_exec(ml_db *db, const char *sql, ml_error *err);

int64_t ml_db_changes(const ml_db *db);   /* rows changed by the last INSERT, UPDATE or DELETE */

/* ---- statements with values ---- */

typedef enum ml_db_kind { ML_DB_NULL, ML_DB_INTEGER, ML_DB_REAL, ML_DB_TEXT } ml_db_kind;

typedef struct ml_db_value {
  ml_db_kind kind;
  int64_t integer;
  double real;        /* NaN is stored as NULL */
  const char *text;   /* when bound, it must live until the query is reset; when read, until the next step */
  size_t size;
} ml_db_value;

/* Exactly one statement. ML_MISUSE if it is no SQL. */
ml_status ml_query_new(ml_query **query, ml_db *db, const char *sql, ml_error *err);
ml_query *ml_query_ref(ml_query *query);   /* one more ml_query_free until it is gone */
void ml_query_free(ml_query *query);       /* NULL is allowed */

int ml_query_parameters(const ml_query *query);
int ml_query_columns(const ml_query *query);
const char *ml_query_column_name(const ml_query *query, int column);   /* column from 0 */

ml_status ml_query_bind(ml_query *query, int parameter, const ml_db_value *value, ml_error *err);   /* from 0 */
/* Runs it up to the next row; *row is false at its end. */
ml_status ml_query_step(ml_query *query, bool *row, ml_error *err);
ml_db_value ml_query_column(const ml_query *query, int column);
/* Ends the run under way, forgets the values, makes it ready for the next one. */
void ml_query_reset(ml_query *query);

#endif
