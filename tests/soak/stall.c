/* stall TID: stops one thread (the daemon's loop) until its process ends.
 *
 * It uses ptrace(2), because that stops a single thread, while SIGSTOP would stop all of them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

int main(int count, char** words) {
  const pid_t thread = count == 2 ? (pid_t)atoi(words[1]) : 0;
  int status = 0;
  if (thread <= 0) return 2;
  if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0 ||
      waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) {
    fprintf(stderr, "stall: %s\n", strerror(errno));
    return 1;
  }
  printf("thread %d stands still\n", (int)thread);
  fflush(stdout);
  /* A signal for the process may be reported to the tracer first. It is passed on, so that systemd's SIGABRT works. */
  while (waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status)) {
    const int number = WSTOPSIG(status);
    if (number == SIGTRAP) continue;
    ptrace(PTRACE_CONT, thread, NULL, (void*)(long)number);
  }
  return 0;
}
