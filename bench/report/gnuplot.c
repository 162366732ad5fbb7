/* SPDX-License-Identifier: Apache-2.0 */
#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { MAX_TEMPLATE_BYTES = 1 << 20, TIMEOUT_SECONDS = 60, NOT_FOUND = 127, WAIT_NS = 5000000 };

static const char preamble[] =
    "set encoding utf8\nset terminal svg size 960,600 font 'Helvetica,14' background '#ffffff'\n"
    "set output '%s.svg'\n";
static const char again[] =
    "set terminal pngcairo size 960,600 font 'Sans,11' background '#ffffff'\nset output '%s.png'\n"
    "replot\n";

static enum vb_status write_text(const char *folder, const char *name, const char *ending,
                                 const char *text, struct vb_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    return vb_file_write(path, text, strlen(text), err);
}

static enum vb_status write_script(const char *folder, const char *name, const char *template,
                                   const char *settings, struct vb_error *err)
{
    char relative[64], path[PATH_MAX];
    char *body = NULL;
    size_t bytes = 0;
    struct vb_text script = { 0 };
    (void)snprintf(relative, sizeof relative, "plots/%.40s.gp", template);
    vb_file_shipped(relative, path, sizeof path);
    enum vb_status status = vb_file_read(path, MAX_TEMPLATE_BYTES, &body, &bytes, err);
    if (status != VB_OK)
        return status;
    vb_text_append(&script, "# gnuplot %s.gp draws it again\ndata = '%s.dat'\n%s", name, name,
                   settings);
    vb_text_append(&script, preamble, name);
    vb_text_append(&script, "%s\n", body);
    vb_text_append(&script, again, name);
    free(body);
    status = script.failed ? vb_fail(err, VB_E_SYSTEM, "no host memory left for a chart")
                           : write_text(folder, name, "gp", vb_text_data(&script), err);
    vb_text_clear(&script);
    return status;
}

/* In the child: quiet, in the folder, gnuplot in its place. */
static void become_gnuplot(const char *folder, const char *name)
{
    char script[80];
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)snprintf(script, sizeof script, "%.60s.gp", name);
    if (chdir(folder) != 0 || quiet < 0 || dup2(quiet, STDERR_FILENO) < 0 ||
        dup2(quiet, STDOUT_FILENO) < 0)
        _exit(1);
    (void)execlp("gnuplot", "gnuplot", script, (char *)NULL);
    _exit(NOT_FOUND);
}

/* gnuplot's exit status; -1: it had to be stopped. */
static int wait_for(pid_t child)
{
    time_t start = time(NULL);
    int status = 0;
    for (;;) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (done < 0 && errno != EINTR)
            return -1;
        if (difftime(time(NULL), start) > TIMEOUT_SECONDS) {
            (void)kill(child, SIGKILL);
            (void)waitpid(child, &status, 0);
            return -1;
        }
        (void)nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
    }
}

enum vb_status vb_gnuplot_draw(const char *folder, const char *name, const char *template,
                               const char *settings, const char *data, bool *drawn, char *note,
                               size_t room, struct vb_error *err)
{
    *drawn = false;
    enum vb_status status = write_text(folder, name, "dat", data, err);
    if (status == VB_OK)
        status = write_script(folder, name, template, settings, err);
    if (status != VB_OK)
        return status;
    pid_t child = fork();
    if (child == 0)
        become_gnuplot(folder, name);
    int result = child > 0 ? wait_for(child) : -1;
    *drawn = result == 0;
    if (result == NOT_FOUND)
        (void)snprintf(note, room,
                       "gnuplot is not installed: charts are left as scripts (apt install "
                       "gnuplot-nox)");
    else if (result != 0)
        (void)snprintf(note, room, "gnuplot failed on %s.gp; run it there to see why", name);
    return VB_OK;
}
