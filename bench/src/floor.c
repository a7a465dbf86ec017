/* The physical limit: bare system calls, without checks or cleanup. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Starts a program by vfork. `output` becomes the standard output; a negative `output` keeps the parent's. Returns the
 * pid, or a negative errno. */
pid_t floor_start(const char *program, char *const argv[], char *const envp[], int output)
{
    volatile int failed = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        if (output >= 0)
            dup2(output, 1);
        execve(program, argv, envp);
        failed = errno;
        _exit(127);
    }
    if (pid < 0)
        return -errno;
    if (failed) {
        waitpid(pid, NULL, 0);
        return -failed;
    }
    return pid;
}

/* The steps of a worker's start between vfork and exec: time limit, session, default signals, locked and marked lifeline,
 * closed descriptors. No start with these steps can be faster. */
static void become_worker(int dir, int null, const int logs[2])
{
    struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec length = {.it_value.tv_sec = 10};
    int timer = 0;
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &kill, &timer);
    syscall(SYS_timer_settime, timer, 0, &length, NULL);
    setsid();
    for (int signal = 1; signal <= 64; signal++)
        syscall(SYS_rt_sigaction, signal, (unsigned long[4]){0}, NULL, 8);
    if (chdir("/") < 0)
        _exit(126);
    umask(077);
    int lifeline = openat(dir, "lifeline", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    static const char mark[212] = {'{'};
    if (lifeline < 0 || flock(lifeline, LOCK_EX | LOCK_NB) < 0 || write(lifeline, mark, sizeof mark) < 0)
        _exit(126);
    dup2(null, 0);
    dup2(logs[0], 1);
    dup2(logs[1], 2);
    dup2(lifeline, 10);
    syscall(SYS_close_range, 3, 9, 0);
    syscall(SYS_close_range, 11, ~0U, 0);
}

/* Starts a program by vfork with the steps of a worker's start. `dir` holds a fresh lifeline. Returns the pid, or a
 * negative errno. */
pid_t floor_start_worker(const char *program, char *const argv[], char *const envp[], int dir)
{
    static const char *const names[2][2] = {{"stdout.log", "stdout.log.1"}, {"stderr.log", "stderr.log.1"}};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), logs[2];
    for (int log = 0; log < 2; log++) {
        renameat(dir, names[log][0], dir, names[log][1]);
        logs[log] = openat(dir, names[log][0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    pid_t pid = vfork();
    if (pid == 0) {
        become_worker(dir, null, logs);
        execve(program, argv, envp);
        _exit(127);
    }
    close(null);
    close(logs[0]);
    close(logs[1]);
    return pid < 0 ? -errno : pid;
}

/* Waits for a child's exit and reaps the child. Returns 0, or a negative errno. */
int floor_reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}
