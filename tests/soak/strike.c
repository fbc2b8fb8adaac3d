/* Preloaded into perjouled by kill.py: stops the writer's thread at a chosen system call inside a transaction, so that
 * kill -9 hits it there.
 *
 * SOAK_STRIKE=commit:N or retention:N: the N-th write or sync, counted since the start, of transactions that insert
 * into the history's tail, or delete from it; retention has transactions of its own. SOAK_PIPE: the descriptor that
 * gets one byte when the thread stands there. The thread then waits for its end. SQLite is a shared library here, so
 * its calls to libc, and the daemon's to it, pass through this file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*exec_function)(void*, const char*, void*, void*, char**);
typedef int (*step_function)(void*);
typedef const char* (*sql_function)(void*);
typedef ssize_t (*pwrite_function)(int, const void*, size_t, off64_t);
typedef int (*sync_function)(int);

static __thread char phase; /* 'c' while storing, 'r' while deleting, 0 elsewhere */

static void note(const char* sql) {
  if (sql == NULL) return;
  if (strncmp(sql, "BEGIN", 5) == 0) phase = 0;
  if (strncmp(sql, "INSERT INTO tail", 16) == 0) phase = 'c';
  if (strncmp(sql, "DELETE FROM tail", 16) == 0) phase = 'r';
}

static void stand_still_if_due(void) {
  static char wanted;
  static long left = -1;
  static int pipe_end = -1;
  if (left < 0) {
    const char* strike = getenv("SOAK_STRIKE");
    const char* number = getenv("SOAK_PIPE");
    left = 0;
    if (strike != NULL && number != NULL && strchr(strike, ':') != NULL) {
      wanted = strike[0];
      left = atol(strchr(strike, ':') + 1);
      pipe_end = atoi(number);
    }
  }
  if (phase == 0 || phase != wanted || left == 0 || --left > 0) return;
  if (write(pipe_end, &phase, 1) == 1) {
    for (;;) pause();
  }
}

int sqlite3_exec(void* database, const char* sql, void* callback, void* argument, char** error) {
  static exec_function next;
  if (next == NULL) next = (exec_function)dlsym(RTLD_NEXT, "sqlite3_exec");
  note(sql);
  const int code = next(database, sql, callback, argument, error);
  if (sql != NULL && (strncmp(sql, "COMMIT", 6) == 0 || strncmp(sql, "ROLLBACK", 8) == 0)) phase = 0;
  return code;
}

int sqlite3_step(void* statement) {
  static step_function next;
  static sql_function sql;
  if (next == NULL) {
    sql = (sql_function)dlsym(RTLD_NEXT, "sqlite3_sql");
    next = (step_function)dlsym(RTLD_NEXT, "sqlite3_step");
  }
  note(sql(statement));
  return next(statement);
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
  static pwrite_function next;
  if (next == NULL) next = (pwrite_function)dlsym(RTLD_NEXT, "pwrite64");
  stand_still_if_due();
  return next(file, bytes, size, at);
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) { return pwrite64(file, bytes, size, at); }

int fdatasync(int file) {
  static sync_function next;
  if (next == NULL) next = (sync_function)dlsym(RTLD_NEXT, "fdatasync");
  stand_still_if_due();
  return next(file);
}

int fsync(int file) {
  static sync_function next;
  if (next == NULL) next = (sync_function)dlsym(RTLD_NEXT, "fsync");
  stand_still_if_due();
  return next(file);
}
